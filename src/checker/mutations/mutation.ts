/** One step of a shipped function left out or moved, and where that is tried. */
import { READERS, type ReaderName } from '../../guest/readers.ts';
import type { Freeze } from '../../hypervisor/policy.ts';
import { REQUEST } from '../../hypervisor/request-bits.ts';
import type { CellSpec } from '../cells.ts';
import type { Mutants } from '../mutants.ts';
import { type Configuration, DEFAULT_CONFIGURATION, type Update } from '../scenarios.ts';

/** What the steps are of: a reader, the guest kernel's own read, the wall clock's two sides, or a part of the hypervisor. */
export const PARTS = [
  ...(Object.keys(READERS) as ReaderName[]),
  'kernel',
  'wall',
  'publish',
  'copy',
  'gate',
  'requests',
  'freeze',
  'update',
] as const;
export type Part = (typeof PARTS)[number];

export interface Mutation {
  /** `landed.no-second-look`. */
  readonly name: string;
  readonly part: Part;
  /** `no second look at the version`. */
  readonly says: string;
  readonly mutants: Mutants;
  /** How things stand where it is tried, with and without it. */
  readonly setting?: Setting;
  readonly configurations: readonly Configuration[];
  /** Where no verdict flips: why. */
  readonly because?: string;
}

/** By how much vCPU 1's line is ahead where it is. */
const AHEAD_NS = 3n;

export const SETTINGS = {
  /** Somebody has asked every vCPU for its record before the update begins. */
  pending: beginning('requests of', REQUEST.CLOCK_UPDATE),
  /** No record was ever written. */
  'never-written': beginning('record 0 version', 0),
  /** Record 0 is found with an odd version: its last writer did not come to its end. */
  'found-odd': beginning('record 0 version', 3),
  /** The clock has not been stable for long: every vCPU's line is its own, and vCPU 1's is ahead. */
  apart: {
    first: (cells: readonly CellSpec[]) =>
      cells.map((cell) => {
        if (cell.name.endsWith('tscShift and flags')) return { ...cell, initial: Number(cell.initial) & 0xff };
        if (cell.name === 'record 1 systemTime') return { ...cell, initial: BigInt(cell.initial) + AHEAD_NS };
        return cell.name === 'useMasterClock' ? { ...cell, initial: 0 } : cell;
      }),
  },
} as const;

export type Setting = keyof typeof SETTINGS;

function beginning(name: string, initial: number): Mutants {
  return {
    first: (cells: readonly CellSpec[]) =>
      cells.map((cell) => (cell.name.startsWith(name) ? { ...cell, initial } : cell)),
  };
}

/** The mutation's functions, and how things stand. */
export function mutantsOf({ mutants, setting }: Pick<Mutation, 'mutants' | 'setting'>): Mutants {
  return { ...(setting === undefined ? {} : SETTINGS[setting]), ...mutants };
}

const HOSTS: readonly Freeze[] = ['kvm', 'record0', 'all'];
const UPDATES: readonly Update[] = ['unstable', 'set-clock'];

/** What becomes of a step, and where that is tried: three hosts by two updates, as far as `where` leaves them open. */
export interface Step extends Mutants, Pick<Mutation, 'says' | 'setting' | 'because'> {
  /** By which readers, where it is not the part's own. */
  readonly by?: readonly ReaderName[];
  readonly where?: Partial<Configuration>;
}

/** The mutations of a part by their steps' names; `by`: the readers with which they are tried. */
export function mutationsOf(part: Part, by: readonly ReaderName[], steps: Readonly<Record<string, Step>>): Mutation[] {
  return Object.entries(steps).map(([step, { says, setting, because, by: own, where, ...mutants }]) => ({
    name: `${part}.${step}`,
    part,
    says,
    mutants,
    ...(setting === undefined ? {} : { setting }),
    ...(because === undefined ? {} : { because }),
    configurations: tried(own ?? by, where),
  }));
}

function tried(readers: readonly ReaderName[], where: Partial<Configuration> = {}): Configuration[] {
  const all = readers.flatMap((reader) =>
    HOSTS.flatMap((host) =>
      UPDATES.map((update): Configuration => ({ ...DEFAULT_CONFIGURATION, reader, host, update, ...where })),
    ),
  );
  return [...new Map(all.map((configuration) => [JSON.stringify(configuration), configuration])).values()];
}
