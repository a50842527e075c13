/** What is explored: threads, the memory that they share, and how a finished call is judged. */
import type { CellSpec, Word } from './cells.ts';
import type { PropertyName } from './properties.ts';
import type { Program } from './replay.ts';
import type { Event } from './surroundings.ts';
import type { Early } from './windows.ts';

/**
 * `sc`: every access reaches memory at once. `tso`: x86: stores wait in a first-in-first-out buffer of their processor,
 * which its own loads look through.
 */
export type Memory = 'sc' | 'tso';

/** What a finished call has given its caller. */
export interface Outcome {
  /** u64 ns; undefined where the record was not stable (or the call reads no clock). */
  readonly ns: bigint | undefined;
  /** The update whose stable bit let the value through; -1 where none did. */
  readonly bit: number;
  /** The properties that the call itself breaks, whatever the others do. */
  readonly broken: readonly PropertyName[];
  /** A guest's call, which is either given a time or told that there is none. */
  readonly isCall: boolean;
  /** The update of the wall clock that the call found; 0: the first, or none was asked for. */
  readonly wall: number;
  /** What is told apart where a thread has come to its end: a litmus test's result. */
  readonly result: string;
}

/** What makes a line of a vCPU's own record: the cells to look at when it enters the guest. */
export interface OwnRecord {
  readonly tscTimestamp: number;
  readonly systemTime: number;
  readonly tscToSystemMul: number;
  readonly tscShift: number;
  readonly tscOffset: number;
}

export interface Scenario {
  readonly cells: readonly CellSpec[];
  readonly memory: Memory;
  /** How guest threads' loads may be done early; undefined: they are not. */
  readonly early?: Early;
  /** One stretch of each vCPU's thread: enter, guest code, leave. It runs for ever. */
  readonly hosts: readonly Program[];
  readonly ownRecords: readonly OwnRecord[];
  /** Done once, at some moment, by a vCPU's thread between two stretches. */
  readonly once: readonly { readonly vcpu: number; readonly program: Program }[];
  /** Threads on processors of their own, each running its program once. */
  readonly others: readonly Program[];
  /** Guest threads, each with its calls. The guest's scheduler puts them on any vCPU in guest mode, operation by operation. */
  readonly guests: readonly (readonly Program[])[];
  /** How often the host's TSC and clock may move on. */
  readonly ticks: number;
  readonly hostTsc: bigint;
  readonly hostNs: bigint;
  outcome(program: Program, events: readonly Event[], returned: Word | undefined): Outcome;
}
