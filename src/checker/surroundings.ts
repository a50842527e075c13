/** What the trie of histories asks of the world around it. */
import type { Word } from './cells.ts';
import type { Operation } from './operations.ts';
import type { Answer, Program } from './replay.ts';

/** One answered operation of a call. */
export interface Event {
  readonly operation: Operation;
  readonly answer: Answer;
}

/** What the world knows and the trie does not. */
export interface Surroundings {
  /** The answer numbered `local` to an operation that touches no cell. */
  answer(operation: Operation, local: number): Answer;
  /** The number of the outcome of a call that has returned. */
  outcome(program: Program, events: readonly Event[], returned: Word | undefined): number;
  /** Called for each operation of a program when it first turns up. */
  used(program: Program, operation: Operation): void;
}
