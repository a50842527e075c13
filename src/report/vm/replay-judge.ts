/**
 * Judges the calls of a replay on real vCPUs as the checker judges its own. The checker stamps each word with the update that
 * it comes from; here a record's content tells: what it was first seen to hold after the n-th update is of update n.
 */
import { PVCLOCK_TSC_STABLE_BIT, PVTI, PVTI_SIZE, type Pvti } from '../../abi/pvti.ts';
import type { Role } from '../../checker/cells.ts';
import { brokenBy, NO_BIT } from '../../checker/judge.ts';
import type { PropertyName } from '../../checker/properties.ts';
import type { Returned } from '../../checker/recorder.ts';
import { lineAt } from '../../guest/sequence.ts';
import type { Guest } from '../../machine/kvm/guest.ts';
import { RECORDS_AT } from '../../machine/kvm/guest-memory.ts';
import type { DoneAccess } from '../../machine/kvm/stepping.ts';

/** What of a call is held against the model. `backwards` is not: the model's updates move time by other amounts. */
export type Judged = Pick<Returned, 'stamps' | 'bit' | 'expected' | 'ns' | 'begunTold' | 'told'>;

/** Which properties the call breaks. */
export function breaks(call: Judged): PropertyName[] {
  const { ns, bit, begunTold, told } = call;
  if (ns === undefined) return [];
  const broken = brokenBy({ ...call, inKernel: false }, ns);
  if (bit !== NO_BIT && bit < begunTold) broken.push('stale-begin');
  if (bit !== NO_BIT && bit < told) broken.push('stale-use');
  return broken;
}

/** The roles of a record's fields. */
const ROLES: ReadonlyMap<number, Role> = new Map([
  [PVTI.tscTimestamp, 'tscTimestamp'],
  [PVTI.systemTime, 'systemTime'],
  [PVTI.tscToSystemMul, 'tscToSystemMul'],
  [PVTI.tscShift, 'tscShift'],
  [PVTI.flags, 'flags'],
]);

/** The updates that the records' contents come from. */
export class Stamps {
  readonly #guest: Guest;
  readonly #seen = new Map<string, number>();
  #updates = 0;

  constructor(guest: Guest) {
    this.#guest = guest;
    this.#look();
  }

  /** To be called right before each update. */
  updating(): void {
    this.#look();
    this.#updates++;
  }

  /** The update that the record of `vcpu` comes from. */
  of(vcpu: number): number {
    this.#look(); // KVM may have written it again at any entry, with another line of the same update
    return this.#seen.get(this.#key(vcpu))!;
  }

  #look(): void {
    for (const { id } of this.#guest.vm.vcpus) {
      const key = this.#key(id);
      if (!this.#seen.has(key)) this.#seen.set(key, this.#updates);
    }
  }

  /** The version is left out: it moves, too, where a record is written again as it was. */
  #key(vcpu: number): string {
    const { tscTimestamp, systemTime, tscToSystemMul, tscShift, flags } = this.#guest.record(vcpu);
    return [vcpu, tscTimestamp, systemTime, tscToSystemMul, tscShift, flags].join();
  }
}

/** The line that `cached` keeps, as a thread's calls have left it. */
export type KeptLine = Pick<Judged, 'stamps' | 'bit'>;

/** One call under way: takes its accesses, and says what they come to. */
export class CallEvidence {
  readonly #guest: Guest;
  readonly #stamps: Stamps;
  readonly #begunTold: number;
  #last = new Map<Role, number>();
  #isStable = false;
  #expected: bigint | undefined;

  constructor(guest: Guest, stamps: Stamps, vcpu: number) {
    this.#guest = guest;
    this.#stamps = stamps;
    this.#begunTold = stamps.of(vcpu);
  }

  take(access: DoneAccess, vcpu: number): void {
    if (access.kind === 'tsc') this.#expected = at(this.#guest.record(vcpu), access.value);
    if (access.kind !== 'load') return;
    const offset = access.address - RECORDS_AT;
    const record = Math.floor(offset / PVTI_SIZE);
    const role = ROLES.get(offset % PVTI_SIZE);
    if (role === undefined) return;
    this.#last.set(role, this.#stamps.of(record));
    if (role === 'flags') this.#isStable = (this.#guest.record(record).flags & PVCLOCK_TSC_STABLE_BIT) !== 0;
  }

  /** Returned `ns` on `vcpu`. `kept`: what it has instead where it read no record but for the version. */
  returned(ns: bigint | undefined, vcpu: number, kept: KeptLine | undefined): Judged {
    const { flags, ...stamps } = Object.fromEntries(this.#last) as Partial<Record<Role, number>>;
    const own: KeptLine = { stamps, bit: this.#isStable ? flags! : NO_BIT };
    const line = this.#last.size === 0 && kept !== undefined ? kept : own;
    const told = this.#stamps.of(vcpu);
    return { ...line, expected: this.#expected, ns, begunTold: this.#begunTold, told };
  }
}

function at({ tscTimestamp, systemTime, tscToSystemMul, tscShift }: Pvti, tsc: bigint): bigint {
  return lineAt(tsc, tscTimestamp, systemTime, tscToSystemMul, tscShift);
}
