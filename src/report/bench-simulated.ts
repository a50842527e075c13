/**
 * What a reading costs on the simulated machine: the plain readers in TypeScript, and clock_gettime on one of them, on a vCPU in guest mode, over the bare TSC of
 * that machine. It says what the interface costs around a reader, not what a reader costs in machine code.
 */
import { READERS, type ReaderName } from '../guest/readers.ts';
import { CLOCK_GETTIME, RAW_TSC } from '../machine/simulated/readers.ts';
import type { SimulatedMachine } from '../machine/simulated/simulated.ts';
import type { Effort, ReaderCost } from './bench.ts';
import { spreadOf } from './statistics.ts';

const CONTENDERS = [...(Object.keys(READERS) as ReaderName[]), CLOCK_GETTIME, RAW_TSC] as const;

/** All readers take turns in every round. */
export async function benchSimulated(
  machine: SimulatedMachine,
  effort: Effort,
  onRound?: (done: number, of: number) => void,
): Promise<ReaderCost[]> {
  const times = new Map(CONTENDERS.map((name) => [name, [] as number[]]));
  const rounds = effort.rounds + effort.warmUp;
  for (let round = 1; round <= rounds; round++) {
    for (const name of CONTENDERS) {
      const ns = await machine.timeNs(name, effort.calls);
      if (round > effort.warmUp) times.get(name)!.push(ns);
    }
    onRound?.(round, rounds);
  }
  const floor = spreadOf(times.get(RAW_TSC)!).median;
  return CONTENDERS.map((name) => {
    const ns = spreadOf(times.get(name)!);
    return { name, ns, toFloor: ns.median / floor };
  });
}
