/**
 * A host clock that stands still until it is told to move: the time of tests, of simulations, and of a history that is
 * played again. All times follow from one count of true cycles, so an instant is the same on every clock.
 */
import { NSEC_PER_SEC } from '../scale/timespec.ts';
import type { HostClock, HostSample } from './host-clock.ts';

export interface ScriptedHostOptions {
  /** What the TSC really does, cycles a second. */
  readonly tscHz: bigint;
  /** The TSC at the start. */
  readonly tsc?: bigint;
  /** ns since boot at the start. */
  readonly ns?: bigint;
  /** ns since 1970 at the start. */
  readonly realtimeNs?: bigint;
  /** How much faster than true the host's clock runs, in parts per billion (NTP's slew, a mult rounded up): may change. */
  readonly slewPpb?: bigint;
}

const BILLION = 1_000_000_000n;

export class ScriptedHost implements HostClock {
  #hz: bigint;
  #tsc: bigint;
  #ns: bigint;
  #realtimeNs: bigint;
  #slewPpb: bigint;
  /** What is left of a nanosecond, in units of 1 / (hz * 10^9). */
  #rest = 0n;
  #byTsc = true;

  constructor(options: ScriptedHostOptions) {
    this.#hz = options.tscHz;
    this.#tsc = options.tsc ?? 0n;
    this.#ns = options.ns ?? 0n;
    this.#realtimeNs = options.realtimeNs ?? 1_420_000_000n * NSEC_PER_SEC;
    this.#slewPpb = options.slewPpb ?? 0n;
  }

  tscHz(): bigint {
    return this.#hz;
  }

  tsc(): bigint {
    return this.#tsc;
  }

  ns(): bigint {
    return this.#ns;
  }

  realtimeNs(): bigint {
    return this.#realtimeNs;
  }

  sample(): HostSample | undefined {
    return this.#byTsc ? { ns: this.#ns, tsc: this.#tsc, realtimeNs: this.#realtimeNs } : undefined;
  }

  /** Lets `cycles` of the TSC pass. */
  advanceCycles(cycles: bigint): void {
    const unit = this.#hz * BILLION;
    const parts = cycles * NSEC_PER_SEC * (BILLION + this.#slewPpb) + this.#rest;
    const passedNs = parts / unit;
    this.#rest = parts % unit;
    this.#tsc = BigInt.asUintN(64, this.#tsc + cycles);
    this.#ns += passedNs;
    this.#realtimeNs += passedNs;
  }

  /** Lets `ns` of true time pass, to the cycle below. */
  advanceNs(ns: bigint): void {
    this.advanceCycles((ns * this.#hz) / NSEC_PER_SEC);
  }

  /** From here on the host's clock runs faster than true by so many parts per billion. */
  slew(ppb: bigint): void {
    this.#slewPpb = ppb;
    this.#rest = 0n;
  }

  /** The host gives its TSC up as a clocksource, or takes it back. */
  keepTimeByTsc(byTsc: boolean): void {
    this.#byTsc = byTsc;
  }

  /** The TSC's rate becomes another, or is not known (0). */
  setTscHz(hz: bigint): void {
    this.#hz = hz;
    this.#rest = 0n;
  }

  /** Somebody sets the host's time of day. */
  setRealtime(ns: bigint): void {
    this.#realtimeNs = ns;
  }

  /** The host sleeps for `ns` and wakes with its TSC at `tsc`. */
  sleep(ns: bigint, tsc: bigint): void {
    this.#ns += ns;
    this.#realtimeNs += ns;
    this.#tsc = tsc;
  }
}
