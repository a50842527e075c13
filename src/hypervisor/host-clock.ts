/**
 * The host's clocks, as the hypervisor needs them. The machine it runs on gives them; a scripted one stands in for
 * tests, for a page, and for replaying a history (scripted-host.ts).
 */

/** One instant, as three clocks show it. */
export interface HostSample {
  /** The clock that records follow, ns since the host's boot. */
  readonly ns: bigint;
  /** The host's TSC, in host cycles. */
  readonly tsc: bigint;
  /** ns since 1970. */
  readonly realtimeNs: bigint;
}

/** The host: its TSC, and the clocks that its VMs follow. */
export interface HostClock {
  /** Cycles of the host's TSC in a second; 0 while it is not known. */
  tscHz(): bigint;
  /** The host's TSC now. */
  tsc(): bigint;
  /** ns since the host's boot. KVM: CLOCK_MONOTONIC_RAW plus the time asleep; until v5.5 CLOCK_BOOTTIME, which NTP slews. */
  ns(): bigint;
  /** ns since 1970 now. */
  realtimeNs(): bigint;
  /** All three at one instant; undefined where the host does not keep time by its TSC, so that there is no such instant. */
  sample(): HostSample | undefined;
}

/** What one host shares among all its VMs. */
export interface HostState {
  /** KVM of 2015 kept it for all VMs: once a TSC was seen to run back, none has a master clock again. */
  backwardsTscObserved: boolean;
}
