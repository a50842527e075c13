import { readdirSync, readFileSync } from 'node:fs';
import test, { type TestContext } from 'node:test';
import { type Kvm, openKvm } from '../../../src/machine/kvm/kvm.ts';
import { isUnavailable } from '../../../src/machine/sys.ts';
import { skipUnless } from '../../require.ts';

const probe = openKvm();
if (!isUnavailable(probe)) probe.close();

const available = isUnavailable(probe) ? probe.unavailable : true;

/** To be called first in a test that stands on the real KVM: true where there is none, and it is skipped with the reason. */
export function skipWithoutKvm(t: TestContext): boolean {
  return skipUnless(t, 'kvm', available);
}

/** Such a test. */
export function kvmTest(name: string, body: (t: TestContext) => void | Promise<void>): void {
  test(name, (t) => {
    if (skipWithoutKvm(t)) return;
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
