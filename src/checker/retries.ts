/**
 * Where a retry loop goes round, its history is cut: the thread goes on from the node at the loop's head, as if the rounds
 * that failed had not been. So a loop that may go round for ever has finitely many histories.
 *
 * That is sound only if the loop carries no local from one round to the next: the interface asks it of every loop that
 * calls relax(), and here it is checked, by running the function:
 *   1. the head is the place from which the failed round, played again after relax(), fails again in the same
 *      operations; and it does so ROUNDS times over (a counter of retries shows itself);
 *   2. on what was explored behind the head, the uncut history and the cut one go on with the same operation and return
 *      the same: each new node is compared with some failed round, each new failed round with known nodes.
 * A loop that fails either is refused by name. What can slip through: a counter that only acts after more than ROUNDS rounds.
 */
import type { Operations } from './operations.ts';
import type { Answer, Program, Run } from './replay.ts';

/** How often a failed round is played again. */
export const ROUNDS = 8;

/** Failed rounds kept for each head, and known nodes with which each is compared when it is new. */
const KEPT_FAILURES = 32;
const COMPARED_NODES = 64;

/** A run, and the number of the operation that is open at its end (-1: it has returned). */
export type NumberedRun = Run & { readonly openId: number };

type Runner = (program: Program, answers: readonly Answer[]) => NumberedRun;

/** The loop takes something of a failed round into the next: its history cannot be cut. */
export class CarriedLocal extends Error {
  override readonly name = 'CarriedLocal';

  constructor(program: Program, how: string) {
    super(
      `${program.name}: a retry loop carries a local round relax() (${how}); ` +
        'declare it inside the loop, as the checker forgets the rounds that failed',
    );
  }
}

export class Retries {
  readonly #operations: Operations;
  readonly #run: Runner;
  /** By head: whole histories that end in a failed round. */
  readonly #failed = new Map<number, (readonly Answer[])[]>();
  #turn = 0;

  constructor(operations: Operations, run: Runner) {
    this.#operations = operations;
    this.#run = run;
  }

  /**
   * The place in `answers`, a history that ends at relax(), where the loop began that now goes round. `ops`: the numbers of
   * the operations that were answered; `run`: the function's run on them.
   */
  headOf(program: Program, answers: readonly Answer[], ops: readonly number[], run: NumberedRun): number {
    for (let head = 0; head < answers.length; head++) {
      if (ops[head] !== run.openId || !this.#failsAgain(program, answers, ops, head, 1)) continue;
      if (this.#failsAgain(program, answers, ops, head, ROUNDS)) return head;
      throw new CarriedLocal(program, `a failed round played ${ROUNDS} times more does not go on as it does once`);
    }
    throw new CarriedLocal(program, 'a failed round played once more does not fail in the same way');
  }

  /** Takes a whole history that ends in a failed round to its head, and compares it with what is known behind that. */
  register(
    program: Program,
    head: number,
    cut: readonly Answer[],
    failed: readonly Answer[],
    known: Iterable<readonly Answer[]>,
  ): void {
    let rounds = this.#failed.get(head);
    if (rounds === undefined) {
      rounds = [];
      this.#failed.set(head, rounds);
    }
    if (rounds.length === KEPT_FAILURES) return;
    rounds.push(failed);
    let left = COMPARED_NODES;
    for (const rest of known) {
      if (left-- === 0) return;
      this.#goOnAlike(program, failed, rest, this.#run(program, [...cut, ...rest]));
    }
  }

  /** Compares a new node behind a head, `rest` answers on and with this run of its own, with one of the head's failed rounds. */
  compare(program: Program, head: number, rest: readonly Answer[], run: NumberedRun): void {
    const rounds = this.#failed.get(head);
    if (rounds !== undefined) this.#goOnAlike(program, rounds[this.#turn++ % rounds.length]!, rest, run);
  }

  #goOnAlike(program: Program, failed: readonly Answer[], rest: readonly Answer[], cut: NumberedRun): void {
    const uncut = this.#run(program, [...failed, ...rest]);
    const alike = uncut.openId === cut.openId && uncut.returned === cut.returned && uncut.unused === cut.unused;
    if (!alike) throw new CarriedLocal(program, 'with and without the failed round it goes on differently');
  }

  /** True where the round from `head` on, played `rounds` times more, fails each time in the same operations. */
  #failsAgain(
    program: Program,
    answers: readonly Answer[],
    ops: readonly number[],
    head: number,
    rounds: number,
  ): boolean {
    const round = answers.slice(head);
    const more = Array.from({ length: rounds }, () => round).flat();
    const again = this.#tryRun(program, [...answers, ...more]);
    if (again === undefined || again.unused > 0 || again.openId !== ops[head]) return false;
    for (let place = answers.length; place < again.answered.length; place++) {
      const op = ops[head + ((place - head) % round.length)]!;
      if (!this.#operations.is(op, again.answered[place]!)) return false;
    }
    const ends = Array.from({ length: rounds + 1 }, (_, index) => answers.length + index * round.length);
    const relaxed = again.relaxed.filter((place) => place >= answers.length);
    return relaxed.length === ends.length && relaxed.every((place, index) => place === ends[index]);
  }

  /** Answers of another place may be such that the function cannot go on with them: it does not fail in the same way then. */
  #tryRun(program: Program, answers: readonly Answer[]): NumberedRun | undefined {
    try {
      return this.#run(program, answers);
    } catch {
      return undefined;
    }
  }
}
