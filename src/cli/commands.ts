/** The commands by name, in the order of the help. Each is loaded only when it is asked for. */
import type { Command } from './command.ts';

export interface Entry {
  /** One line for the help. */
  readonly summary: string;
  /** Loads the command's file: `() => import('./NAME.ts')`. */
  load(): Promise<{ readonly command: Command }>;
}

export type Commands = Readonly<Record<string, Entry>>;

/** The one that runs where the first argument names none. */
export const DEFAULT_COMMAND = 'doctor';

export const COMMANDS: Commands = {
  doctor: {
    summary: 'what clock this machine has, what a read costs, whether it is sound (the default)',
    load: () => import('./doctor.ts'),
  },
  bench: { summary: 'what each way of reading the clock costs here', load: () => import('./bench.ts') },

  decode: {
    summary: 'decode the records in a memory image or an ELF core',
    load: () => import('./decode.ts'),
  },
};
