/** KVM_SET_CLOCK and KVM_GET_CLOCK: the kernel's own four cases, and the flags. */
import { KVM_CLOCK_HOST_TSC, KVM_CLOCK_REALTIME, KVM_CLOCK_VALID_FLAGS } from '../../abi/kvm-clock-data.ts';
import type { ConformCase, Finding, OpenGuest } from './conform.ts';
import { settleRecords } from './race.ts';

const SECOND = 1_000_000_000n;
const FAR = 180n * SECOND;
const BOTH = KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC;

const realtimeNow = (): bigint => BigInt(Date.now()) * 1_000_000n;

/** The clock is set to `clock`; `ahead`: with a real time that far ahead of now. */
interface Setting {
  readonly name: string;
  readonly clock: bigint;
  readonly ahead?: bigint;
}

const SETTINGS: readonly Setting[] = [
  { name: 'set-clock-zero', clock: 0n },
  { name: 'set-clock-ahead', clock: FAR },
  { name: 'set-clock-realtime-past', clock: 0n, ahead: -FAR },
  { name: 'set-clock-realtime-future', clock: 0n, ahead: FAR },
];

async function bracket(open: OpenGuest, { clock, ahead }: Setting): Promise<Finding> {
  const guest = await open(1);
  await settleRecords(guest);
  const before = realtimeNow();
  if (ahead === undefined) guest.clock.set({ clock });
  else guest.clock.set({ clock, realtime: before + ahead, flags: KVM_CLOCK_REALTIME });
  const start = guest.clock.get();
  const reading = await guest.call(0, 'kvmclock_read_landed', { first: guest.recordAt(0) });
  const end = guest.clock.get();
  const least = clock + (ahead !== undefined && ahead < 0n ? -ahead : 0n);
  const most = least + (realtimeNow() - before) + SECOND;
  const flags = (start.flags & end.flags & BOTH) === BOTH;
  const inside = start.clock <= reading && reading <= end.clock;
  const right = least <= start.clock && end.clock <= most;
  return {
    verdict: flags && inside && right ? 'kept' : 'broken',
    seen: `the guest read ${reading} ns, the host ${start.clock} ns before and ${end.clock} ns after`,
    figures: { startNs: start.clock, readingNs: reading, endNs: end.clock, leastNs: least, bothFlags: flags },
  };
}

async function unknownFlags(open: OpenGuest): Promise<Finding> {
  const guest = await open(1);
  const unknown = Array.from({ length: 32 }, (_, bit) => (1 << bit) >>> 0).filter(
    (bit) => (bit & KVM_CLOCK_VALID_FLAGS) === 0,
  );
  const taken = unknown.filter((flags) => {
    try {
      guest.clock.set({ clock: 0n, flags });
      return true;
    } catch (error) {
      if (/EINVAL/.test(String(error))) return false;
      throw error;
    }
  });
  return {
    verdict: taken.length === 0 ? 'kept' : 'broken',
    seen: `${unknown.length - taken.length} of ${unknown.length} unknown flags were refused with EINVAL`,
    figures: { unknown: unknown.length, refused: unknown.length - taken.length },
  };
}

export const SET_CLOCK_CASES: readonly ConformCase[] = [
  ...SETTINGS.map((setting): ConformCase => {
    const { name, clock, ahead } = setting;
    const real = ahead === undefined ? '' : ` and a real time ${ahead / SECOND} s from now`;
    return {
      name,
      promised: `set to ${clock / SECOND} s${real}, the guest reads what KVM_GET_CLOCK says before and after; the clock only gains the real time that has passed`,
      measure: (open) => bracket(open, setting),
    };
  }),
  { name: 'set-clock-unknown-flags', promised: 'EINVAL for every flag that is not known', measure: unknownFlags },
];
