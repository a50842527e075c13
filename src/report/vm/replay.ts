/**
 * An execution of the checker, performed on real vCPUs. The model moves word by word; here a host's update, a vCPU's entry and
 * a call of a reader are each done whole, in the model's order. That is enough for the race, which lies between them: what
 * cannot be performed so says why.
 */

import type { Pvti } from '../../abi/pvti.ts';
import type { Configuration } from '../../checker/scenarios.ts';
import type { Actor } from '../../checker/schedule.ts';
import type { Step } from '../../checker/trace.ts';
import type { FlavourName } from '../../hypervisor/policy.ts';
import { Guest } from '../../machine/kvm/guest.ts';
import type { Kvm } from '../../machine/kvm/kvm.ts';
import type { Unavailable } from '../../machine/sys.ts';
import { newLine, RACERS, type RaceReading, type Racer, readOn, settleRecords } from './race.ts';

/** What the model says of a call: whether it returned a time, and by a stable bit older than what its vCPU was told of. */
export interface Outcome {
  readonly answered: boolean;
  readonly stale: boolean;
}

/** One thing that the model does, and real vCPUs can do whole. `step`: its number in the trace, from 1. */
export type CoarseEvent = { readonly step: number } & (
  | { readonly kind: 'update' }
  | { readonly kind: 'enter'; readonly vcpu: number }
  | { readonly kind: 'read'; readonly vcpu: number; readonly model: Outcome }
);

export interface RealStep {
  readonly step: number;
  readonly what: string;
  readonly records: readonly Pvti[];
  readonly reading: RaceReading | null;
  /** Whether the real machine's reading came out as the model's; null where nothing was read. */
  readonly same: boolean | null;
}

export interface RealReplay {
  readonly clock: 'kvm' | FlavourName;
  readonly steps: readonly RealStep[];
  /** Every reading came out as the model's. */
  readonly same: boolean;
}

const JUMP_NS = 3_600_000_000_000n;
/** The vCPU whose TSC the model moves. */
const MOVED = 1;

/** Performs `steps` under `configuration`. Where that cannot be done: the reason. */
export async function replayOnKvm(
  kvm: Kvm,
  configuration: Configuration,
  steps: readonly Step[],
): Promise<RealReplay | Unavailable> {
  const { reader, update, vcpus } = configuration;
  const flavour = flavourFor(configuration);
  if (typeof flavour === 'object') return flavour;
  const racer = RACERS.find((name) => name === reader);
  if (racer === undefined) return { unavailable: `the guest has no ${reader} in machine code` };
  if (update !== 'unstable' && update !== 'set-clock') {
    return { unavailable: `update ${update} moves the host's own clock, which is not done to a real host` };
  }
  const events = coarseEvents(steps, vcpus);
  if ('unavailable' in events) return events;
  await using guest = await Guest.create(kvm, { vcpus, flavour: flavour === 'kvm' ? undefined : flavour });
  await settleRecords(guest);
  const performer = { guest, racer, line: newLine(guest), update };
  const real: RealStep[] = [];
  for (const event of events) real.push(await perform(performer, event));
  return { clock: flavour, steps: real, same: real.every(({ same }) => same !== false) };
}

/** Who keeps the clock as the model's host does. */
function flavourFor({ host, writer }: Configuration): 'kvm' | FlavourName | Unavailable {
  if (writer === 'today' && host === 'kvm') return 'kvm';
  if (writer === 'today' && host === 'record0') return 'kvmclock';
  return { unavailable: `no host here is ${host} with writer ${writer}: KVM is kvm and today, ours record0 and today` };
}

interface Performer {
  readonly guest: Guest;
  readonly racer: Racer;
  readonly line: number;
  readonly update: 'unstable' | 'set-clock';
}

async function perform({ guest, racer, line, update }: Performer, event: CoarseEvent): Promise<RealStep> {
  const done = (what: string, reading: RaceReading | null = null, same: boolean | null = null): RealStep => {
    const records = guest.vm.vcpus.map(({ id }) => guest.record(id));
    return { step: event.step, what, records, reading, same };
  };
  if (event.kind === 'update') {
    if (update === 'unstable') guest.clock.mismatchTsc(MOVED);
    else guest.clock.set({ clock: guest.clock.get().clock + JUMP_NS });
    return done(update === 'unstable' ? `the TSC of vCPU ${MOVED} is moved` : 'the clock is set');
  }
  const { vcpu } = event;
  if (event.kind === 'enter') {
    await guest.call(vcpu, 'guest_nothing');
    return done(`vCPU ${vcpu} enters the guest`);
  }
  const reading = await readOn(guest, vcpu, racer, line);
  const same = (reading.ns !== null) === event.model.answered && reading.stale === event.model.stale;
  return done(`${racer} is called on vCPU ${vcpu}`, reading, same);
}

/** The trace's updates, entries and calls, in their order; or why real vCPUs cannot follow them. */
export function coarseEvents(steps: readonly Step[], vcpus: number): CoarseEvent[] | Unavailable {
  const events: CoarseEvent[] = [];
  const updaters = new Set<string>();
  const begun = new Map<number, { readonly events: number; readonly records: string }>();
  let records = '';
  let told: readonly (number | undefined)[] = Array.from({ length: vcpus }, () => undefined);
  for (const [index, { turns, told: next, returned }] of steps.entries()) {
    const step = index + 1;
    for (const updater of turns.map(({ actor }) => updaterOf(actor))) {
      if (updater === undefined || updaters.has(updater)) continue;
      updaters.add(updater);
      events.push({ step, kind: 'update' });
    }
    for (const [vcpu, update] of next.entries()) {
      if (told[vcpu] === undefined && update !== undefined) events.push({ step, kind: 'enter', vcpu });
    }
    told = next;
    const guests = turns.flatMap(({ actor }) => (actor.kind === 'guest' ? [actor.guest] : []));
    for (const guest of guests) if (!begun.has(guest)) begun.set(guest, { events: events.length, records });
    records = steps[index]!.records.map(({ version }) => version).join();
    const [caller] = guests;
    if (returned === undefined || caller === undefined) continue;
    const start = begun.get(caller)!;
    const since = events.slice(start.events);
    begun.delete(caller);
    if (start.records !== records) {
      return { unavailable: `a record is written while the call runs that ends at step ${step}; real calls run whole` };
    }
    const between = since.find(({ kind }) => kind !== 'read');
    if (between !== undefined) return spans(between, step);
    const { vcpu, ns, bit } = returned;
    if (returned.told < updaters.size) {
      return {
        unavailable: `at step ${step} vCPU ${vcpu} reads before it is told; to enter a real vCPU is to tell it`,
      };
    }
    const stale = bit >= 0 && bit < returned.told;
    events.push({ step, kind: 'read', vcpu, model: { answered: ns !== undefined, stale } });
  }
  return events;
}

/** A thread by whose first step an update begins. */
function updaterOf(actor: Actor): string | undefined {
  if (actor.kind === 'once') return 'once';
  return actor.kind === 'other' ? `other ${actor.index}` : undefined;
}

function spans({ kind, step }: CoarseEvent, end: number): Unavailable {
  const what = kind === 'update' ? 'an update' : 'an entry';
  return {
    unavailable: `the call that ends at step ${end} has ${what} in its middle, at step ${step}; real calls run whole`,
  };
}
