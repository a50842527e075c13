/** The shipped functions with one thing changed on purpose: each is a cpu that does something else than it was asked. */
import type { Reader } from '../guest/cpu.ts';
import type { ThreadCpu } from './replay.ts';

/** Made anew for every call, so that what it remembers is of that call. */
export type Wrap = (cpu: ThreadCpu) => ThreadCpu;

export interface Mutants {
  /** Another reader in the place of the configuration's. */
  readonly reader?: Reader;
  /** What the reader is given in the place of its cpu. */
  readonly guest?: Wrap;
  /** The same for the hypervisor's threads. */
  readonly host?: Wrap;
}
