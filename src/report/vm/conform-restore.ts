/** Pause, save and restore: what a VMM meets that does it as the ioctls suggest. */
import { setTimeout as sleep } from 'node:timers/promises';
import { PVCLOCK_GUEST_STOPPED } from '../../abi/pvti.ts';
import type { ConformCase, Finding, OpenGuest } from './conform.ts';
import { settleRecords, UNSTABLE } from './race.ts';

const AWAY_MS = 200;
const SAVED_NS = 3_600_000_000_000n;

/** The flag in memory when it is asked for, after a KVM_RUN that runs nothing, and after one that does. */
async function guestStopped(open: OpenGuest): Promise<Finding> {
  const guest = await open(1);
  await settleRecords(guest);
  const inMemory = (): boolean => (guest.record(0).flags & PVCLOCK_GUEST_STOPPED) !== 0;
  guest.clock.noteStopped(0);
  const atOnce = inMemory();
  guest.vm.vcpus[0]!.settle();
  const afterEmptyRun = inMemory();
  await guest.call(0, 'guest_nothing');
  const afterRun = inMemory();
  const say = (there: boolean): string => (there ? 'there' : 'not there');
  return {
    verdict: atOnce && afterRun ? 'kept' : 'broken',
    seen: `the flag was ${say(atOnce)} when the call returned, ${say(afterEmptyRun)} after a KVM_RUN with immediate_exit, ${say(afterRun)} after the next real one`,
    figures: { atOnce, afterImmediateExit: afterEmptyRun, afterRun },
  };
}

/** By how much a clock jumps that is saved, and restored in a new VM after some time, with the saved flags and without. */
async function restoreJump(open: OpenGuest): Promise<Finding> {
  const guest = await open(1);
  await settleRecords(guest);
  const saved = guest.clock.get();
  await sleep(AWAY_MS);
  const restored = async (flags: number): Promise<{ jumpNs: bigint; awayNs: bigint }> => {
    const next = await open(1);
    await settleRecords(next);
    next.clock.set({ ...saved, flags });
    const { clock, realtime } = next.clock.get();
    return { jumpNs: clock - saved.clock, awayNs: realtime - saved.realtime };
  };
  const without = await restored(0);
  const withFlags = await restored(saved.flags);
  const slack = 5_000_000n; // NTP may slew the real time against the clock
  const added = withFlags.jumpNs > withFlags.awayNs - slack && withFlags.jumpNs < withFlags.awayNs + slack;
  return {
    verdict: without.jumpNs >= without.awayNs || !added ? 'broken' : 'trap',
    seen: `${withFlags.awayNs} ns away: the clock jumped by ${withFlags.jumpNs} ns with the saved flags 0x${saved.flags.toString(16)}, by ${without.jumpNs} ns without flags`,
    figures: {
      awayNs: withFlags.awayNs,
      jumpWithFlagsNs: withFlags.jumpNs,
      jumpWithoutNs: without.jumpNs,
      savedFlags: saved.flags,
    },
  };
}

/** What a guest reads that runs before its clock is set, and what after. */
async function runBeforeSet(open: OpenGuest): Promise<Finding> {
  const guest = await open(1);
  await settleRecords(guest);
  const read = (): Promise<bigint> => guest.call(0, 'kvmclock_read_landed', { first: guest.recordAt(0) });
  const early = await read();
  guest.clock.set({ clock: SAVED_NS });
  const late = await read();
  const next = await open(1);
  next.enableRecord(0);
  next.clock.set({ clock: SAVED_NS });
  const careful = await next.call(0, 'kvmclock_read_landed', { first: next.recordAt(0) });
  return {
    verdict: [careful, late].every((ns) => ns >= SAVED_NS && ns !== UNSTABLE) ? 'trap' : 'broken',
    seen: `saved at ${SAVED_NS} ns, the guest first read ${early} ns, then ${late} ns; ${careful} ns where the clock was set before it ran`,
    figures: { savedNs: SAVED_NS, firstNs: early, thenNs: late, firstWhenSetBeforeNs: careful },
  };
}

export const RESTORE_CASES: readonly ConformCase[] = [
  {
    name: 'guest-stopped-in-snapshot',
    promised: 'a guest that was told that it was stopped finds the flag, also in a snapshot of its memory taken then',
    advice: 'tell it again after the restore, before the first KVM_RUN, or set the bit in the saved record',
    measure: guestStopped,
  },
  {
    name: 'restore-with-saved-flags',
    promised: 'KVM_CLOCK_REALTIME adds the time away; without it the clock goes on from where it was saved',
    advice: 'clear the flags of the saved clock, unless the guest is to see the time away as a jump',
    measure: restoreJump,
  },
  {
    name: 'run-before-set-clock',
    promised: 'a guest whose clock is set before it runs never reads another time; one that runs before does',
    advice: 'set the clock before the first KVM_RUN of any vCPU',
    measure: runBeforeSet,
  },
];
