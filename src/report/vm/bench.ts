/**
 * The thread's table inside a real guest: each reader on the record that KVM (or our own hypervisor) keeps there, in a loop
 * of machine code on a real vCPU. Timed by the guest's TSC, fenced on both sides, so that entry and exit do not count.
 */
import { PVCLOCK_TSC_STABLE_BIT } from '../../abi/pvti.ts';
import type { Guest } from '../../machine/kvm/guest.ts';
import { LINE_BYTES } from '../../vdso/cached.ts';
import { TIME_LOOP, TIME_LOOP_BYTES } from '../../vdso/measure.ts';
import { type Effort, FLOOR, type ReaderCost } from '../bench.ts';
import { spreadOf } from '../statistics.ts';

/** Rows of the table, in its order. `vcpu`: LSL of the vCPU's segment, which `before` does twice. */
const ROWS: readonly (readonly [name: string, symbol: string])[] = [
  ['before', 'kvmclock_read_before'],
  ['rfc', 'kvmclock_read_rfc'],
  ['landed', 'kvmclock_read_landed'],
  ['cached', 'kvmclock_read_cached'],
  ['relaxed', 'kvmclock_read_relaxed'],
  [FLOOR, 'kvmclock_rdtsc_lfence'],
  ['rdtsc', 'kvmclock_rdtsc'],
  ['vcpu', 'kvmclock_vcpu'],
];

/** Never a record's version, so the line of `cached` begins unfilled. */
const UNFILLED = 2n ** 64n - 1n;

/** Times every reader on vCPU 0, whose record must be kept already and stable. */
export async function benchGuest(
  guest: Guest,
  effort: Effort,
  onRound?: (done: number, of: number) => void,
): Promise<ReaderCost[]> {
  await guest.call(0, 'guest_nothing'); // the record is written at an entry
  if ((guest.record(0).flags & PVCLOCK_TSC_STABLE_BIT) === 0) {
    throw new Error('the record is not stable here, so no reader would do its work');
  }
  const block = guest.allocate(TIME_LOOP_BYTES);
  const line = guest.allocate(LINE_BYTES);
  for (let at = 0; at < LINE_BYTES; at += 8) guest.vm.memory.view.setBigUint64(line + at, UNFILLED, true);
  const nsPerCycle = 1e6 / guest.vm.vcpus[0]!.tscKhz();
  const rounds = effort.rounds + effort.warmUp;
  const times = new Map<string, number[]>(ROWS.map(([name]) => [name, []]));
  for (let round = 1; round <= rounds; round++) {
    for (const [name, symbol] of ROWS) {
      const cycles = await timeLoop(guest, block, symbol, line, effort.calls);
      if (round > effort.warmUp) times.get(name)!.push((cycles / effort.calls) * nsPerCycle);
    }
    onRound?.(round, rounds);
  }
  const spreads = [...times].map(([name, values]) => ({ name, ns: spreadOf(values) }));
  const floor = spreads.find(({ name }) => name === FLOOR)!.ns.median;
  return spreads.map(({ name, ns }) => ({ name, ns, toFloor: ns.median / floor }));
}

async function timeLoop(guest: Guest, block: number, symbol: string, line: number, calls: number): Promise<number> {
  const { view } = guest.vm.memory;
  view.setBigUint64(block + TIME_LOOP.callee, BigInt(guest.address(symbol)), true);
  view.setBigUint64(block + TIME_LOOP.first, BigInt(guest.recordAt(0)), true);
  view.setBigUint64(block + TIME_LOOP.second, BigInt(line), true);
  view.setBigUint64(block + TIME_LOOP.count, BigInt(calls), true);
  await guest.call(0, 'kvmclock_time_loop', { first: block });
  return Number(view.getBigUint64(block + TIME_LOOP.cycles, true));
}
