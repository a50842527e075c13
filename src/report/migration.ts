/**
 * How far a clock is off once a VMM has moved its VM to a host of another TSC rate: by the calls that Linux has, and by ours.
 * Both hosts are simulated, so the two clocks can be asked at one and the same guest TSC, and their times of day agree to the
 * nanosecond, which those of real hosts do not: what is left is what the calls and their arithmetic lose.
 */
import { KVM_CLOCK_REALTIME } from '../abi/kvm-clock-data.ts';
import { clockOnLine } from '../hypervisor/clock-guest.ts';
import { FLAVOURS, type Flavour } from '../hypervisor/flavours.ts';
import { NSEC_PER_SEC } from '../scale/timespec.ts';
import { randomFrom } from './random.ts';
import { type ScriptedVm, scriptedVm } from './scripted-vm.ts';

/** A VM on the host that it leaves and on the one that it comes to, and the time that passes on both. */
export interface Move {
  readonly from: ScriptedVm;
  readonly to: ScriptedVm;
  /** From one call of the VMM to its next. */
  gap(): void;
  /** While the VM is on its way. */
  away(): void;
}

/** A way to move a clock, and the TSCs that it counts by. */
export interface Way {
  readonly name: string;
  readonly flavour: Flavour;
  readonly move: (move: Move) => void;
}

/** Whether the guest's TSC rate is that of the host it leaves, or of neither host, as after an earlier move. */
export const GUEST_RATES = ['of-the-host', 'of-another'] as const;
export type GuestRate = (typeof GUEST_RATES)[number];

/** How far the new host's clock is ahead of the old one's where the guest reads the same TSC, ns. */
export interface Apart {
  readonly leastNs: bigint;
  readonly mostNs: bigint;
}

export interface MigrationErrors {
  readonly way: string;
  readonly flavour: string;
  readonly guestRate: GuestRate;
  readonly migrations: number;
  readonly atOnce: Apart;
  readonly aDayLater: Apart;
}

/** At most, between two calls of the VMM. */
export const GAP_NS = 100_000;
/** At most, on the way. */
export const AWAY_NS = 10_000_000_000;
const DAY = 86_400n;
const VCPUS = 2;
const MIN_HZ = 500_000_000;
const MAX_HZ = 5_000_000_000;

export const WAYS: readonly Way[] = [
  { name: 'GET_CLOCK, SET_CLOCK', flavour: FLAVOURS.kvm, move: byClock },
  { name: 'the same, KVM_CLOCK_REALTIME', flavour: FLAVOURS.kvm, move: byTimeOfDay },
  { name: 'save, restore', flavour: FLAVOURS.kvmclock, move: bySave },
  { name: 'GET_CLOCK_GUEST, SET_CLOCK_GUEST', flavour: FLAVOURS.kvmclock, move: byGuestLine },
];

/** Clock and TSC each as the VMM finds them, and as it comes to set them: both stand still on the way. */
function byClock({ from, to, gap, away }: Move): void {
  const tsc = from.hypervisor.readTsc(0);
  gap();
  const { clock } = from.hypervisor.getClock();
  away();
  setTscs(to, tsc);
  gap();
  to.hypervisor.setClock({ clock, flags: 0 });
}

/** As KVM's documentation has it: the clock goes on by the time of day, and the TSC by what the clock then says has passed. */
function byTimeOfDay({ from, to, gap, away }: Move): void {
  const then = from.hypervisor.getClock();
  const tscThen = from.hypervisor.readTsc(0);
  away();
  to.hypervisor.setClock({ clock: then.clock, realtime: then.realtime, flags: KVM_CLOCK_REALTIME });
  gap();
  const { clock } = to.hypervisor.getClock();
  const khz = from.hypervisor.tscHz(0) / 1000n;
  const tsc = tscThen + ((clock - then.clock) * khz) / 1_000_000n;
  const offset = to.hypervisor.tscOffset(0) + tsc - to.hypervisor.readTsc(0);
  for (let vcpu = 0; vcpu < VCPUS; vcpu++) to.hypervisor.setTscOffset(vcpu, BigInt.asUintN(64, offset));
}

function bySave({ from, to, away }: Move): void {
  const saved = from.hypervisor.save();
  away();
  to.hypervisor.restore(saved, 'stopped');
}

/** The line is over the guest's TSC, so it does not matter when any of this happens. */
function byGuestLine({ from, to, gap, away }: Move): void {
  const tsc = from.hypervisor.readTsc(0);
  gap();
  const line = from.hypervisor.getClockGuest(0);
  away();
  setTscs(to, tsc);
  gap();
  to.hypervisor.setClockGuest(0, line);
}

function setTscs(vm: ScriptedVm, tsc: bigint): void {
  for (let vcpu = 0; vcpu < VCPUS; vcpu++) vm.hypervisor.writeTsc(vcpu, tsc);
}

/** `migrations` between random hosts, the same for the same seed and for every way. */
export function migrate(way: Way, migrations: number, guestRate: GuestRate, seed: number): MigrationErrors {
  const random = randomFrom(seed);
  const apart = Array.from({ length: migrations }, () => {
    const { from, to } = moved(way, guestRate, random);
    const apartAt = (tsc: bigint) => clockOnLine(to.record(1), tsc) - clockOnLine(from.record(1), tsc);
    const now = to.hypervisor.readTsc(1);
    return { now: apartAt(now), aDayLater: apartAt(now + from.hypervisor.tscHz(1) * DAY) };
  });
  const atOnce = extremes(apart.map(({ now }) => now));
  const aDayLater = extremes(apart.map((one) => one.aDayLater));
  return { way: way.name, flavour: way.flavour.name, guestRate, migrations, atOnce, aDayLater };
}

function extremes(ns: readonly bigint[]): Apart {
  const least = (one: bigint, other: bigint) => (one < other ? one : other);
  const most = (one: bigint, other: bigint) => (one > other ? one : other);
  return { leastNs: ns.reduce(least), mostNs: ns.reduce(most) };
}

/** One VM that has run for up to a day and is moved. As many random numbers are drawn whatever the way. */
function moved({ flavour, move }: Way, guestRate: GuestRate, random: () => number): Pick<Move, 'from' | 'to'> {
  const rate = () => BigInt(Math.floor(MIN_HZ + random() * (MAX_HZ - MIN_HZ)));
  const upTo = (most: number) => BigInt(Math.floor(random() * most));
  const [fromHz, toHz, anotherHz] = [rate(), rate(), (rate() / 1000n) * 1000n]; // a guest's rate is set in kHz
  const options = { flavour, tscScaling: true };
  const from = scriptedVm(
    { tscHz: fromHz },
    VCPUS,
    guestRate === 'of-another' ? { ...options, tscHz: anotherHz } : options,
  );
  const to = scriptedVm({ tscHz: toHz }, VCPUS, { ...options, tscHz: from.hypervisor.tscHz(0) });
  const pass = (ns: bigint) => {
    from.host.advanceNs(ns);
    to.host.advanceNs(ns);
  };
  pass(upTo(Number(DAY * NSEC_PER_SEC)));
  const gaps = [upTo(GAP_NS), upTo(GAP_NS)];
  const awayNs = upTo(AWAY_NS);
  move({ from, to, gap: () => pass(gaps.pop()!), away: () => pass(awayNs) });
  to.runAll();
  return { from, to };
}
