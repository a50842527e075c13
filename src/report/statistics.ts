/** What is said of repeated measurements: least, median and most. */

export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

/** At least one value; the median of an even number of them is the mean of the middle two. */
export function spreadOf(values: readonly number[]): Spread {
  if (values.length === 0) throw new RangeError('spreadOf: needs at least one value, got none');
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { min: sorted[0]!, median, max: sorted.at(-1)! };
}

/** One thing to be measured: `run` returns the ns of one call. */
export interface Contender {
  readonly name: string;
  run(): number;
}

/**
 * Measures all contenders once a round, so that what the machine does meanwhile falls on all of them alike. `warmUp`
 * rounds are thrown away. `onRound` is told how far it is.
 */
export function interleaved(
  contenders: readonly Contender[],
  rounds: number,
  warmUp: number,
  onRound?: (done: number, of: number) => void,
): Map<string, Spread> {
  const times = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  for (let round = -warmUp; round < rounds; round++) {
    for (const { name, run } of contenders) {
      const ns = run();
      if (round >= 0) times.get(name)!.push(ns);
    }
    onRound?.(round + warmUp + 1, rounds + warmUp);
  }
  return new Map([...times].map(([name, values]) => [name, spreadOf(values)]));
}
