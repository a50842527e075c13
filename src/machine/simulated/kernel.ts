/**
 * The guest's kernel on the simulated machine, as far as its clocks go: at each tick vCPU 0 takes the page of bases over, which
 * clock_gettime reads on every vCPU. Its clocksource is its record, at a nanosecond a cycle, and its CLOCK_MONOTONIC starts level
 * with that: so it is the record's clock to the nanosecond, however often it was taken over, and any reading can be held to it.
 */
import { CLOCK_MODE } from '../../abi/clock-base.ts';
import { CLOCK_MONOTONIC } from '../../abi/clock-id.ts';
import { PVCLOCK_TSC_STABLE_BIT, pvtiAddress } from '../../abi/pvti.ts';
import { type ClockPage, readClock } from '../../guest/clock-gettime.ts';
import type { GuestKernelCpu, Reader, TimekeeperCpu } from '../../guest/cpu.ts';
import { type KernelClock, kernelRead } from '../../guest/kernel.ts';
import { landed } from '../../guest/landed.ts';
import { startTimekeeper, updateTimekeeper } from '../../guest/timekeeper.ts';
import { fromTimespec } from '../../scale/timespec.ts';
import { BASES_AT, LAST_VALUE_AT, RECORDS_AT } from './vm.ts';

const KERNEL_CLOCK: KernelClock = { validFlags: PVCLOCK_TSC_STABLE_BIT, last: LAST_VALUE_AT };
const CLOCK_PAGE: ClockPage = { bases: BASES_AT, records: RECORDS_AT, read: landed };
/** As Linux has it for kvm-clock. */
const SHIFT = 23;

/** CLOCK_REALTIME begins in 1970, and TAI 37 seconds ahead: only their distances matter here. */
const TAI_OFFSET_SEC = 37;

/** vCPU 0's kernel: in the guest, its record asked for. */
export class SimulatedKernel {
  readonly #cpu: GuestKernelCpu & TimekeeperCpu;

  constructor(cpu: GuestKernelCpu & TimekeeperCpu) {
    this.#cpu = cpu;
  }

  boot(): void {
    const ns = this.#counter();
    const level = { realtimeNs: ns, monotonicNs: ns, boottimeNs: ns, taiOffsetSec: TAI_OFFSET_SEC };
    const rate = { mode: CLOCK_MODE.PVCLOCK, mult: 1 << SHIFT, shift: SHIFT };
    startTimekeeper(this.#cpu, BASES_AT, () => ns, { ...rate, ...level });
  }

  tick(): void {
    updateTimekeeper(this.#cpu, BASES_AT, () => this.#counter());
  }

  #counter(): bigint {
    return kernelRead(this.#cpu, pvtiAddress(RECORDS_AT, 0), KERNEL_CLOCK);
  }
}

/** CLOCK_MONOTONIC by the page alone, in ns; nothing where the kernel would have to be asked. */
export const clockGettimeReader: Reader = (cpu) => {
  const reading = readClock(cpu, CLOCK_PAGE, CLOCK_MONOTONIC);
  return reading === undefined || reading.old ? undefined : fromTimespec(reading);
};
