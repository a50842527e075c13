/**
 * What a trace of the checker comes to on real vCPUs. There a reader can be stopped between any two of its accesses, but a
 * host's update, and the record that an entry writes, are done whole. So each of these is put where nobody can tell: behind
 * every access that still found the old words, before the first that found new ones. Where there is no such place, as
 * somebody saw a record half-written, real vCPUs cannot follow.
 */
import { encodePvti, PVTI, PVTI_BYTES, PVTI_SIZE } from '../../abi/pvti.ts';
import type { CellSpec } from '../../checker/cells.ts';
import { RECORDS } from '../../checker/memory-map.ts';
import { KIND } from '../../checker/operations.ts';
import type { Action, Returned } from '../../checker/recorder.ts';
import { type Configuration, scenarioOf } from '../../checker/scenarios.ts';
import type { RecordState, RecordWord, Step } from '../../checker/trace.ts';
import type { Unavailable } from '../../machine/sys.ts';

/** What an access is to: bytes from the beginning of the records, or what no address has. */
export type Target = number | 'tsc' | 'vcpu';

/** `step`: its number in the trace, from 1. */
export type ReplayEvent = { readonly step: number } & (
  | { readonly kind: 'update' }
  | { readonly kind: 'enter'; readonly vcpu: number }
  | { readonly kind: 'access'; readonly thread: number; readonly vcpu: number; readonly target: Target }
  | { readonly kind: 'return'; readonly thread: number; readonly model: Returned }
);

interface Access {
  readonly step: number;
  readonly thread: number;
  readonly vcpu: number;
  readonly target: Target;
  /** What a load found, how many bytes of it, and the update that it comes from. */
  readonly value: bigint;
  readonly bytes: number;
  readonly stamp: number;
}

/** Records written as one: by the update itself, or by a vCPU's entry. */
interface Write {
  readonly by: 'update' | number;
  readonly records: Set<number>;
  readonly first: number;
  /** The step by which it is whole; undefined where the trace ends before. */
  whole: number | undefined;
}

/** The events in their order; or why real vCPUs cannot follow. `byKvm`: KVM keeps the clock, and tells each vCPU that enters. */
export function replayEvents(
  configuration: Configuration,
  steps: readonly Step[],
  byKvm: boolean,
): readonly ReplayEvent[] | Unavailable {
  if (configuration.updaters * configuration.updates !== 1) return { unavailable: 'one update is performed, not more' };
  const accesses = accessesIn(scenarioOf(configuration).cells, steps);
  if ('unavailable' in accesses) return accesses;
  const placed: ReplayEvent[][] = Array.from({ length: accesses.length + 1 }, () => []);
  let updated = accesses.length;
  for (const write of writesIn(steps, configuration)) {
    const place = placeOf(write, steps, accesses);
    const step = write.whole ?? steps.length;
    if (place === undefined) return { unavailable: `a record is read half-written before step ${step}` };
    if (write.by === 'update') placed[place]!.unshift({ step, kind: 'update' });
    else if (write.whole !== undefined || place < accesses.length) {
      placed[place]!.push({ step, kind: 'enter', vcpu: write.by });
    }
    updated = Math.min(updated, place);
  }
  const begins = steps.findIndex(({ turns }) =>
    turns.some(({ actor: { kind } }) => kind === 'once' || kind === 'other'),
  );
  if (begins >= 0 && !placed.flat().some(({ kind }) => kind === 'update')) {
    placed[updated]!.unshift({ step: begins + 1, kind: 'update' }); // it shows by what entries write, and not before
  }
  const events = placed.flatMap((before, index) => [...before, ...accessEvents(accesses, index, steps)]);
  return (byKvm ? untold(events) : undefined) ?? events;
}

function accessEvents(accesses: readonly Access[], index: number, steps: readonly Step[]): ReplayEvent[] {
  const access = accesses[index];
  if (access === undefined) return [];
  const { step, thread, vcpu, target } = access;
  const event: ReplayEvent = { step, kind: 'access', thread, vcpu, target };
  const { returned } = steps[step - 1]!;
  const isLast = accesses[index + 1]?.step !== step;
  return returned === undefined || !isLast ? [event] : [event, { step, kind: 'return', thread, model: returned }];
}

function accessesIn(cells: readonly CellSpec[], steps: readonly Step[]): Access[] | Unavailable {
  const accesses: Access[] = [];
  for (const [index, { actions }] of steps.entries()) {
    for (const action of actions) {
      if (action.actor.kind !== 'guest' || action.operation === undefined) continue;
      const step = index + 1;
      if (action.choice >= 0)
        return { unavailable: `a load is done early at step ${step}; processors do that unasked` };
      if (action.operation.kind === KIND.pin) return { unavailable: `the guest's kernel reads at step ${step}` };
      const target = targetOf(cells, action);
      if (target === undefined) continue;
      const { bytes } = action.operation;
      const value = BigInt.asUintN(8 * bytes, BigInt(action.answer!.value));
      const { stamp } = action.answer!;
      accesses.push({ step, thread: action.actor.guest, vcpu: action.vcpu, target, value, bytes, stamp });
    }
  }
  return accesses;
}

/** What the image's code would do there as an access of its own; undefined for what is the thread's alone. */
function targetOf(cells: readonly CellSpec[], { operation }: Action): Target | undefined {
  const { kind, cell, offset } = operation!;
  if (kind === KIND.vcpu) return 'vcpu';
  if (kind === KIND.rdtsc || kind === KIND.rdtscAnyTime) return 'tsc';
  const spec = cells[cell];
  return kind === KIND.load && spec?.perThread !== true ? spec!.address + offset - RECORDS : undefined;
}

/** Which records are written, by whom and when. Under `record0` and `all` the update writes first. */
function writesIn(steps: readonly Step[], { host }: Configuration): Write[] {
  const writes: Write[] = [];
  const open = new Map<number, Write>();
  const written = new Set<number>();
  for (let index = 1; index < steps.length; index++) {
    const { records, told } = steps[index]!;
    for (const record of records) {
      const { vcpu } = record;
      if (!sameRecord(record, steps[index - 1]!.records[vcpu]!)) {
        let write = open.get(vcpu);
        if (write === undefined) {
          const byUpdate = !written.has(vcpu) && (host === 'all' || (host === 'record0' && vcpu === 0));
          const update = byUpdate ? writes.find(({ by }) => by === 'update') : undefined;
          write = update ?? { by: byUpdate ? 'update' : vcpu, records: new Set(), first: index + 1, whole: undefined };
          if (update === undefined) writes.push(write);
          write.records.add(vcpu);
          open.set(vcpu, write);
          written.add(vcpu);
        }
      }
      const write = open.get(vcpu);
      const isDone = write?.by === 'update' ? isWhole(record) && record.update > 0 : told[vcpu] !== undefined;
      if (write === undefined || !isDone) continue;
      write.whole = index + 1;
      open.delete(vcpu);
    }
  }
  return writes;
}

/** Before which access it may be done whole; undefined where nowhere. */
function placeOf(
  { records, first, whole }: Write,
  steps: readonly Step[],
  accesses: readonly Access[],
): number | undefined {
  const last = whole ?? steps.length;
  const old = steps[first - 2]!.records;
  const now = steps[last - 1]!.records;
  const low = accesses.filter(({ step }) => step < first).length;
  const high = accesses.filter(({ step }) => step <= last).length;
  const within = accesses.slice(low, high);
  const isOf = (states: readonly RecordState[]) => (access: Access) => {
    const vcpu = recordOf(access.target);
    return vcpu === undefined || !records.has(vcpu) || finds(access, states[vcpu]!);
  };
  const firstNew = within.findIndex((access) => !isOf(old)(access));
  if (firstNew < 0) return high;
  return within.slice(firstNew).every(isOf(now)) ? low + firstNew : undefined;
}

function recordOf(target: Target): number | undefined {
  return typeof target === 'number' ? Math.floor(target / PVTI_SIZE) : undefined;
}

/** Whether the access finds `record` so. One that the trace leaves half-written is so by the words that are written. */
function finds({ target, value, bytes, stamp }: Access, record: RecordState): boolean {
  const offset = (target as number) % PVTI_SIZE;
  const word = WORDS.get(offset);
  if (value !== wordOf(record, offset, bytes)) return false;
  if (word === undefined) return isWhole(record);
  return stamp === record.stamps[word] && (isWhole(record) || stamp === Math.max(...Object.values(record.stamps)));
}

/** All of one update. The writers of 2014 and 2015 never make the version odd. */
function isWhole({ version, stamps }: RecordState): boolean {
  const updates = Object.values(stamps);
  return version % 2 === 0 && updates.every((update) => update === updates[0]);
}

const WORDS: ReadonlyMap<number, RecordWord> = new Map([
  [PVTI.tscTimestamp, 'tscTimestamp'],
  [PVTI.systemTime, 'systemTime'],
  [PVTI.tscToSystemMul, 'tscToSystemMul'],
  [PVTI.tscShift, 'tscShift'],
  [PVTI.flags, 'tscShift'],
]);

function wordOf(record: RecordState, offset: number, bytes: number): bigint {
  const view = new DataView(new ArrayBuffer(PVTI_BYTES));
  encodePvti(record, view);
  let word = 0n;
  for (let i = bytes - 1; i >= 0; i--) word = (word << 8n) | BigInt(view.getUint8(offset + i));
  return word;
}

function sameRecord(a: RecordState, b: RecordState): boolean {
  return a.update === b.update && [0, 8, 16, 24].every((at) => wordOf(a, at, 8) === wordOf(b, at, 8));
}

/** A vCPU that goes on where it is, behind the update: KVM would have told it on the way. */
function untold(events: readonly ReplayEvent[]): Unavailable | undefined {
  const told = new Set<number>();
  let updated = false;
  for (const event of events) {
    if (event.kind === 'update') updated = true;
    if (event.kind === 'enter') told.add(event.vcpu);
    if (event.kind !== 'access' || !updated || told.has(event.vcpu)) continue;
    return {
      unavailable: `at step ${event.step} vCPU ${event.vcpu} goes on untold; to enter a real vCPU is to tell it`,
    };
  }
  return undefined;
}
