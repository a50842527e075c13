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

/** `text` as a whole number of `least`..`most`. */
export function parseWithin(option: string, text: string, least: number, most: number): number {
  const value = /^[0-9]+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new UsageError(`${option} takes a whole number of ${least}..${most}, not ${JSON.stringify(text)}`);
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

/** One of `names`. */
export function parseName<const N extends string>(option: string, text: string, names: readonly N[]): N {
  const name = names.find((known) => known === text);
  if (name === undefined) throw new UsageError(`${option} takes ${names.join(', ')}, not ${JSON.stringify(text)}`);
  return name;
}
