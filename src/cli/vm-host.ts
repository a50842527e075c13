/** What the vm commands have in common: the real KVM, or the reason why there is none. */
import { type Kvm, openKvm } from '../machine/kvm/kvm.ts';
import { isUnavailable } from '../machine/sys.ts';
import { toJson } from '../report/json.ts';
import { EXIT_USAGE, type Io, type Option, UsageError } from './command.ts';

/** Runs `body` with /dev/kvm open. Where it cannot be: says so, which is a result; the status is that of "could not tell". */
export async function withKvm(io: Io, json: boolean, body: (kvm: Kvm) => Promise<number>): Promise<number> {
  const kvm = openKvm();
  if (isUnavailable(kvm)) {
    io.stdout.write(json ? toJson({ machine: 'none', why: kvm.unavailable }) : `${kvm.unavailable}\n`);
    return EXIT_USAGE;
  }
  try {
    return await body(kvm);
  } finally {
    kvm.close();
  }
}

export const CLOCK_OPTION = {
  type: 'string',
  value: 'kvm|kvmclock',
  default: 'kvm',
  help: "who keeps the guest's clock: KVM (the default), or our hypervisor in its place",
} as const satisfies Option;

/** The flavour of our hypervisor that keeps the clock; undefined where KVM does. */
export function parseClock(text: string): 'kvmclock' | undefined {
  if (text === 'kvmclock') return text;
  if (text === 'kvm') return undefined;
  throw new UsageError(`--clock takes kvm or kvmclock, not ${JSON.stringify(text)}`);
}
