/**
 * An execution of the checker, performed on real vCPUs: the host's update and the vCPUs' entries each whole, the readers'
 * machine code access by access, each on the vCPU where the model has it. What a call returns is judged as the checker judges
 * it, by what real memory held at each of its accesses.
 */
import { PVTI, PVTI_SIZE, type Pvti } from '../../abi/pvti.ts';
import type { PropertyName } from '../../checker/properties.ts';
import { type Configuration, flavourOf } from '../../checker/scenarios.ts';
import type { Step } from '../../checker/trace.ts';
import { Guest } from '../../machine/kvm/guest.ts';
import { RECORDS_AT } from '../../machine/kvm/guest-memory.ts';
import type { Kvm } from '../../machine/kvm/kvm.ts';
import { type DoneAccess, SteppedCall } from '../../machine/kvm/stepping.ts';
import type { Unavailable } from '../../machine/sys.ts';
import { JUMP_NS, newLine, RACERS, type Racer, settleRecords, UNSTABLE } from './race.ts';
import { type ReplayEvent, replayEvents, type Target } from './replay-events.ts';
import { breaks, CallEvidence, type Judged, type KeptLine, Stamps } from './replay-judge.ts';

/** What a call came to, in the model or on the real machine. */
export interface Outcome {
  /** It returned a time. */
  readonly answered: boolean;
  /** The properties that it breaks, `backwards` aside. */
  readonly broken: readonly PropertyName[];
}

export interface RealCall extends Outcome {
  /** u64; null: no stable record. */
  readonly ns: bigint | null;
  /** How far from what the record of the vCPU whose TSC it read gives for that TSC, ns. */
  readonly errorNs: bigint | null;
  readonly model: Outcome;
}

export interface RealStep {
  /** The step of the trace with which it begins, from 1. */
  readonly step: number;
  readonly what: string;
  /** The records behind it. */
  readonly records: readonly Pvti[];
  /** The call that it ended; null where none did. */
  readonly call: RealCall | null;
}

export interface RealReplay {
  /** Who kept the clock: `kvm`, or our hypervisor under the configuration's policy. */
  readonly clock: 'kvm' | 'ours';
  readonly steps: readonly RealStep[];
  /** Every call came out as the model's, and read what it reads, in its order. */
  readonly same: boolean;
}

/** The vCPU whose TSC the model moves. That alone would change times by a few ns; so the clock is set as well. */
const MOVED = 1;

/** Performs `steps` under `configuration`. Where that cannot be done: the reason. */
export async function replayOnKvm(
  kvm: Kvm,
  configuration: Configuration,
  steps: readonly Step[],
): Promise<RealReplay | Unavailable> {
  const { reader, update, vcpus, host, writer } = configuration;
  const racer = RACERS.find((name) => name === reader);
  if (racer === undefined) return { unavailable: `the guest has no ${reader} in machine code` };
  if (update === 'wall-clock') return { unavailable: 'the guest does not read its wall clock' };
  if (update !== 'unstable' && update !== 'set-clock') {
    return { unavailable: `update ${update} moves the host's own clock, which is not done to a real host` };
  }
  const byKvm = host === 'kvm' && writer === 'today';
  const events = replayEvents(configuration, steps, byKvm);
  if ('unavailable' in events) return events;
  await using guest = await Guest.create(kvm, { vcpus, flavour: byKvm ? undefined : flavourOf(host, writer) });
  await settleRecords(guest);
  const performer = new Performer(guest, racer, update);
  for (const [index, event] of events.entries()) await performer.perform(event, events[index + 1]);
  return { clock: byKvm ? 'kvm' : 'ours', steps: performer.steps, same: performer.same };
}

/** A guest thread: what it keeps from call to call, and the call that it is in. */
interface Thread {
  readonly line: number;
  kept: KeptLine | undefined;
  call: SteppedCall | undefined;
  evidence: CallEvidence | undefined;
  vcpu: number;
}

class Performer {
  readonly steps: RealStep[] = [];
  same = true;
  readonly #guest: Guest;
  readonly #reader: Racer;
  readonly #update: 'unstable' | 'set-clock';
  readonly #stamps: Stamps;
  readonly #threads = new Map<number, Thread>();
  /** Accesses in a row, by one thread on one vCPU. */
  #row: string[] = [];

  constructor(guest: Guest, reader: Racer, update: 'unstable' | 'set-clock') {
    this.#guest = guest;
    this.#reader = reader;
    this.#update = update;
    this.#stamps = new Stamps(guest);
  }

  async perform(event: ReplayEvent, next: ReplayEvent | undefined): Promise<void> {
    if (event.kind === 'update') this.#doUpdate(event.step);
    else if (event.kind === 'enter') await this.#enter(event.step, event.vcpu);
    else if (event.kind === 'access') await this.#access(event, next);
    else await this.#return(event);
  }

  #done(step: number, what: string, call: RealCall | null = null): void {
    const records = this.#guest.vm.vcpus.map(({ id }) => this.#guest.record(id));
    this.steps.push({ step, what, records, call });
  }

  #doUpdate(step: number): void {
    const { clock } = this.#guest;
    this.#stamps.updating();
    if (this.#update === 'unstable') clock.mismatchTsc(MOVED);
    clock.set({ clock: clock.get().clock + JUMP_NS });
    const moved = this.#update === 'unstable' ? `the TSC of vCPU ${MOVED} is moved, and ` : '';
    this.#done(step, `${moved}the clock is set an hour on`);
  }

  async #enter(step: number, vcpu: number): Promise<void> {
    await this.#guest.call(vcpu, 'guest_nothing');
    this.#done(step, `vCPU ${vcpu} enters the guest`);
  }

  async #access(event: Extract<ReplayEvent, { kind: 'access' }>, next: ReplayEvent | undefined): Promise<void> {
    const { step, thread: number, vcpu, target } = event;
    const thread = this.#threadOf(number);
    if (thread.call === undefined) {
      const symbol = `kvmclock_read_${this.#reader}`;
      thread.call = new SteppedCall(this.#guest, symbol, this.#guest.recordAt(0), thread.line);
      thread.evidence = new CallEvidence(this.#guest, this.#stamps, vcpu);
    }
    thread.vcpu = vcpu;
    const done = await thread.call.next(vcpu);
    if (done !== undefined) thread.evidence!.take(done, vcpu);
    if (targetOf(done) !== target) {
      this.#row.push(`${nameOf(targetOf(done))}, where the model reads ${nameOf(target)}`);
      this.same = false;
    } else {
      this.#row.push(nameOf(target));
    }
    const goesOn = next?.kind === 'access' && next.thread === number && next.vcpu === vcpu;
    if (goesOn) return;
    const who = this.#threads.size > 1 ? `${this.#reader} of thread ${number}` : this.#reader;
    const what = this.#row.join(', ');
    this.#row = [];
    this.#done(step, `${who} on vCPU ${vcpu} reads ${what}`);
  }

  async #return({ step, thread: number, model }: Extract<ReplayEvent, { kind: 'return' }>): Promise<void> {
    const thread = this.#threadOf(number);
    const { vcpu } = thread;
    const call = thread.call!;
    for (let more = await call.next(vcpu); more !== undefined; more = await call.next(vcpu)) {
      thread.evidence!.take(more, vcpu);
      this.same = false; // the model has returned
    }
    const answer = call.result === UNSTABLE ? undefined : call.result;
    const judged = thread.evidence!.returned(answer, vcpu, thread.kept);
    if (answer !== undefined) thread.kept = judged;
    thread.call = undefined;
    const real = { ...outcomeOf(judged), ns: answer ?? null, errorNs: errorOf(judged), model: outcomeOf(model) };
    if (real.answered !== real.model.answered || real.broken.join() !== real.model.broken.join()) this.same = false;
    this.#done(step, `${this.#reader} on vCPU ${vcpu} returns`, real);
  }

  #threadOf(number: number): Thread {
    let thread = this.#threads.get(number);
    if (thread === undefined) {
      thread = { line: newLine(this.#guest), kept: undefined, call: undefined, evidence: undefined, vcpu: -1 };
      this.#threads.set(number, thread);
    }
    return thread;
  }
}

function outcomeOf(call: Judged): Outcome {
  return { answered: call.ns !== undefined, broken: breaks(call) };
}

function errorOf({ ns, expected }: Judged): bigint | null {
  return ns === undefined || expected === undefined ? null : BigInt.asIntN(64, ns - expected);
}

function targetOf(access: DoneAccess | undefined): Target | undefined {
  if (access === undefined) return undefined;
  return access.kind === 'load' ? access.address - RECORDS_AT : access.kind;
}

const FIELDS = new Map<number, string>(Object.entries(PVTI).map(([name, offset]) => [offset, name]));

function nameOf(target: Target | undefined): string {
  if (target === undefined) return 'no more';
  if (target === 'tsc') return 'the TSC';
  if (target === 'vcpu') return "its vCPU's number";
  return `${FIELDS.get(target % PVTI_SIZE)} of record ${Math.floor(target / PVTI_SIZE)}`;
}
