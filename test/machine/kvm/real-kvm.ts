import { readdirSync, readFileSync } from 'node:fs';
import test, { type TestContext } from 'node:test';
import { type Kvm, openKvm } from '../../../src/machine/kvm/kvm.ts';
import { isUnavailable } from '../../../src/machine/sys.ts';
import { skipUnless } from '../../require.ts';

const probe = openKvm();
if (!isUnavailable(probe)) probe.close();

const available = isUnavailable(probe) ? probe.unavailable : true;

/** A test that stands on the real KVM, and is skipped with the reason where there is none. */
export function kvmTest(name: string, body: (t: TestContext) => void | Promise<void>): void {
  test(name, (t) => {
    if (skipUnless(t, 'kvm', available)) return;
    return body(t);
  });
}

/** The real thing. Call it in a kvmTest. */
export function realKvm(): Kvm {
  const kvm = openKvm();
  if (isUnavailable(kvm)) throw new Error(kvm.unavailable);
  return kvm;
}

/** What this process holds: open descriptors, and mappings that name KVM or shared anonymous memory. */
export function held(): { fds: number; mappings: number } {
  const maps = readFileSync('/proc/self/maps', 'utf8').split('\n');
  return {
    fds: readdirSync('/proc/self/fd').length,
    mappings: maps.filter((line) => /kvm-vcpu|\/dev\/zero/.test(line)).length,
  };
}
