/** The commands by name, in the order of the help. Each is loaded only when it is asked for. */
import type { Command } from './command.ts';

export interface Entry {
  /** One line for the help. */
  readonly summary: string;
  /** Loads the command's file: `() => import('./NAME.ts')`. */
  load(): Promise<{ readonly command: Command }>;
}

/** Commands under one name: `kvmclock vm race`. */
export interface Group {
  readonly summary: string;
  readonly commands: Commands;
}

export type Commands = { readonly [name: string]: Entry | Group };

/** The one that runs where the first argument names none. */
export const DEFAULT_COMMAND = 'doctor';

const VM_COMMANDS: Commands = {
  bench: { summary: 'what each way of reading the clock costs in a guest', load: () => import('./vm-bench.ts') },
  race: {
    summary: "the thread's race: a vCPU that was told of an update reads the old record 0",
    load: () => import('./vm-race.ts'),
  },
  stress: {
    summary: 'readers on every vCPU while the host updates the clock all the time',
    load: () => import('./vm-stress.ts'),
  },
  conform: {
    summary: "what this host's KVM promises of its clock, and what it does",
    load: () => import('./vm-conform.ts'),
  },
  run: { summary: 'run a test image on real vCPUs, its clock kept by KVM or by us', load: () => import('./vm-run.ts') },
};

export const COMMANDS: Commands = {
  doctor: {
    summary: 'what clock this machine has, what a read costs, whether it is sound',
    load: () => import('./doctor.ts'),
  },
  bench: { summary: 'what each way of reading the clock costs here', load: () => import('./bench.ts') },
  check: {
    summary: 'explore every interleaving of the readers and the hypervisor, and find what goes wrong',
    load: () => import('./check.ts'),
  },
  replay: { summary: 'step an execution that check has found', load: () => import('./replay.ts') },

  decode: {
    summary: 'decode the records in a memory image or an ELF core',
    load: () => import('./decode.ts'),
  },
  vdso: { summary: 'the readers as a shared object for C, Python and others', load: () => import('./vdso.ts') },
  serve: {
    summary: "a page: this machine's clock live, the race step by step; and /metrics for Prometheus",
    load: () => import('./serve.ts'),
  },
  completion: { summary: 'complete this command line in bash, zsh or fish', load: () => import('./completion.ts') },
  vm: { summary: 'run guests on the real KVM: what its clock costs, promises and does', commands: VM_COMMANDS },
};
