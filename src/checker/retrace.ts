/**
 * A guest's calls in an execution, looked at more closely: each is run again on the answers that it was given. So it can be said
 * from which line of the shipped reader an operation comes, and, run on in the memory as it then stood, what the call
 * would return if from there on nothing else happened.
 */
import { encodePvti, pvtiAddress } from '../abi/pvti.ts';
import { lineAt } from '../guest/sequence.ts';
import { Cells, type Word } from './cells.ts';
import { RECORDS } from './memory-map.ts';
import { changed } from './mutants.ts';
import { type Answer, type Program, ReplayCpu } from './replay.ts';
import type { Scenario } from './scenario.ts';
import type { RecordState, Step } from './trace.ts';

/** A line of a file of src/guest. */
export interface Place {
  readonly file: string;
  readonly line: number;
}

/** A time; or none, as the record is not stable; or none before a record has been written; or not to be told. */
export type Outlook = bigint | 'not stable' | 'goes round' | 'unknown';

/** One operation of a guest's call. */
export interface Moment {
  /** The step that it belongs to. */
  readonly step: number;
  readonly guest: number;
  readonly vcpu: number;
  /** Where in the source: the innermost function first, the reader last. Empty where the engine does not say. */
  readonly places: readonly Place[];
  /** What the call would return, left alone from here on. */
  readonly outlook: Outlook;
  /** What the record of the vCPU that it runs on gives at the same moment; undefined where the TSC is not known, or is of before the record. */
  readonly ownNs: bigint | undefined;
}

/** The guests' operations, in the order in which they were done. */
export function retrace(scenario: Scenario, steps: readonly Step[]): Moment[] {
  const kept = scenario.guests.map(() => new Map<number, Word>());
  const moments: Moment[] = [];
  for (const call of callsIn(scenario, steps)) {
    const own = kept[call.guest]!;
    const { places, stored } = run(scenario, call, call.items.length, own, NOTHING_BEHIND);
    call.items.forEach(({ step, vcpu }, index) => {
      const { records } = steps[step]!;
      const tsc = tscOn(steps, step, vcpu);
      const { outlook } = run(scenario, call, index + 1, own, standingStill(records, vcpu, tsc));
      const ownNs = tsc === undefined ? undefined : lineOf(records[vcpu]!, tsc);
      moments.push({ step, guest: call.guest, vcpu, places: places[index]!, outlook, ownNs });
    });
    kept[call.guest] = stored;
  }
  return moments.toSorted((a, b) => a.step - b.step);
}

interface Call {
  readonly guest: number;
  readonly program: Program;
  readonly items: { readonly step: number; readonly vcpu: number; readonly answer: Answer }[];
}

/** Every call that was begun. A call ends where a step has returned it. */
function callsIn({ guests }: Scenario, steps: readonly Step[]): Call[] {
  const begun = guests.map(() => 0);
  const open = new Map<number, Call>();
  const calls: Call[] = [];
  steps.forEach(({ actions, returned }, step) => {
    let last = -1;
    for (const { actor, answer, vcpu } of actions) {
      if (actor.kind !== 'guest' || answer === undefined) continue;
      last = actor.guest;
      let call = open.get(last);
      if (call === undefined) {
        call = { guest: last, program: guests[last]![begun[last]!++]!, items: [] };
        open.set(last, call);
        calls.push(call);
      }
      call.items.push({ step, vcpu, answer });
    }
    if (returned !== undefined) open.delete(last);
  });
  return calls;
}

/** What a call finds where its answers end. Each throws STOP where it cannot be told. */
interface Behind {
  load(address: number, bytes: number): Word;
  tsc(): bigint;
  vcpu(): number;
}

/** Thrown where a call cannot go on. */
const STOP = { stopped: true };
/** Thrown where a call has gone round so often in memory that stands still that it would do so for ever. */
const ROUND = { round: true };
const MOST_ROUNDS = 3;

const stop = (): never => {
  throw STOP;
};
const NOTHING_BEHIND: Behind = { load: stop, tsc: stop, vcpu: stop };

/** The records as they are, and a TSC that does not move on. */
function standingStill(records: readonly RecordState[], vcpu: number, tsc: bigint | undefined): Behind {
  const view = new DataView(new ArrayBuffer(pvtiAddress(0, records.length)));
  for (const record of records) encodePvti(record, view, pvtiAddress(0, record.vcpu));
  return {
    load(address, bytes) {
      const at = address - RECORDS;
      if (at < 0 || at >= view.byteLength) return stop();
      if (bytes === 8) return view.getBigUint64(at, true);
      return bytes === 4 ? view.getUint32(at, true) : view.getUint8(at);
    },
    tsc: () => tsc ?? stop(),
    vcpu: () => vcpu,
  };
}

interface Run {
  /** Of each operation. */
  readonly places: readonly Place[][];
  readonly outlook: Outlook;
  /** What the thread has for itself when the call is over, by address. */
  readonly stored: Map<number, Word>;
}

/** Runs a call on its first `count` answers, and on in `behind`. `kept`: what its thread has from earlier calls. */
function run(scenario: Scenario, call: Call, count: number, kept: ReadonlyMap<number, Word>, behind: Behind): Run {
  const { early } = scenario;
  const cells = new Cells(scenario.cells);
  const stored = new Map(kept);
  const places: Place[][] = [];
  let rounds = 0;
  const next = (): Answer | undefined => {
    if (places.length === count) return undefined;
    places.push(placesIn(new Error().stack ?? ''));
    return call.items[places.length - 1]?.answer;
  };
  const own = (address: number): Word | undefined => {
    const spec = cells.specs.find((cell) => cell.perThread && cell.address === address);
    return spec && (stored.get(address) ?? spec.initial);
  };
  const load = (address: number, bytes: number): Word => next()?.value ?? own(address) ?? behind.load(address, bytes);
  const store = (address: number, value: Word): void => {
    next();
    stored.set(address, value);
  };
  const rdtscp = () => {
    if (early === 'late-tsc') next();
    const answer = next();
    return answer === undefined
      ? { tsc: behind.tsc(), vcpu: behind.vcpu() }
      : { tsc: BigInt(answer.value), vcpu: answer.vcpu };
  };
  const cpu = changed(new ReplayCpu(cells, early), {
    load8: (address) => Number(load(address, 1)),
    load32: (address) => Number(load(address, 4)),
    load64: (address) => BigInt(load(address, 8)),
    store32: store,
    store64: store,
    rdtsc: () => BigInt(next()?.value ?? behind.tsc()),
    rdtscp,
    rdtscOrdered: () => rdtscp().tsc,
    vcpu: () => Number(next()?.value ?? behind.vcpu()),
    kernelVcpu: () => Number(next()?.value ?? behind.vcpu()),
    fetchAnd8: () => Number(next()?.value ?? stop()),
    compareExchange64: () => BigInt(next()?.value ?? stop()),
    readBarrier: () => void (early === 'any-order' && next()),
    loadFence: () => void (early !== undefined && next()),
    relax: () => {
      if (places.length >= count && ++rounds > MOST_ROUNDS) throw ROUND;
    },
  });
  try {
    const returned = call.program.run(cpu);
    return { places, outlook: returned === undefined ? 'not stable' : BigInt(returned), stored };
  } catch (thrown) {
    if (thrown === ROUND) return { places, outlook: 'goes round', stored };
    if (thrown === STOP) return { places, outlook: 'unknown', stored };
    throw thrown;
  }
}

/** `.../src/guest/landed.ts:17:30`, as engines write it in a stack, each in its own way. */
const FRAME = /\/guest\/([\w-]+)\.[jt]s:(\d+)/g;

function placesIn(stack: string): Place[] {
  return [...stack.matchAll(FRAME)].map(([, file, line]) => ({ file: `${file}.ts`, line: Number(line) }));
}

/** The TSC that was read on `vcpu` last, or that will be next; time stands still between, but where it is made to tick. */
function tscOn(steps: readonly Step[], step: number, vcpu: number): bigint | undefined {
  const readings = (some: readonly Step[]): Answer[] =>
    some.flatMap(({ actions }) => actions.flatMap(({ answer }) => (answer?.vcpu === vcpu ? [answer] : [])));
  const found = readings(steps.slice(0, step + 1)).at(-1) ?? readings(steps.slice(step + 1))[0];
  return found && BigInt(found.value);
}

/** Undefined before the record's base: a time there is what the arithmetic wraps round to, and nobody's. */
function lineOf({ tscTimestamp, systemTime, tscToSystemMul, tscShift }: RecordState, tsc: bigint): bigint | undefined {
  if (tsc < tscTimestamp) return undefined;
  return lineAt(tsc, tscTimestamp, systemTime, tscToSystemMul, tscShift);
}
