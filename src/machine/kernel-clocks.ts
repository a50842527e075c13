/** The kernel's own clocks, without asking the kernel each time. */

export type ClockName = 'realtime' | 'monotonic' | 'boottime' | 'monotonicRaw';

const NAMES: readonly string[] = ['realtime', 'monotonic', 'boottime', 'monotonicRaw'] satisfies ClockName[];

/** Each of these reads one of the kernel's clocks to within `errorBoundNs`, and never gives less than before in this thread. */
export interface KernelClocks {
  /** CLOCK_REALTIME: since 1970-01-01 UTC. A clock that is set back goes at half speed until it has been caught up with. */
  readonly realtime: () => bigint;
  /** CLOCK_MONOTONIC: since the boot, without the time asleep, at the pace that NTP gives it. */
  readonly monotonic: () => bigint;
  /** CLOCK_BOOTTIME: the same with the time asleep. */
  readonly boottime: () => bigint;
  /** CLOCK_MONOTONIC_RAW: since the boot, at the pace of the hardware. */
  readonly monotonicRaw: () => bigint;
  /**
   * By how many ns a reading just taken of this clock may lie before or behind what the kernel would have said. Throws RangeError
   * on any other name.
   */
  errorBoundNs(clock: ClockName): number;
}

/** Throws RangeError on what is none of them. */
export function checkClockName(name: string): void {
  if (NAMES.includes(name)) return;
  throw new RangeError(`errorBoundNs: there is ${NAMES.join(', ')}, got ${JSON.stringify(name) ?? String(name)}`);
}
