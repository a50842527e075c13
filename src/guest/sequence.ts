/**
 * The reader's half of the sequence count, and what stands between its two ends.
 *
 * Assumes: the writer makes the version odd before it touches the body and even, and different, after. A version that
 * comes round to the same value within one read (2^31 updates) is not noticed.
 */
import { PVTI } from '../abi/pvti.ts';
import { scaleDelta } from '../scale/scale-delta.ts';
import type { GuestCpu } from './cpu.ts';

/** The version to compare with. An odd one is rounded down, so that it never compares equal: one test does for both. */
export function readBegin(cpu: GuestCpu, pvti: number): number {
  const version = cpu.load32(pvti + PVTI.version);
  cpu.readBarrier(); // version before body
  return evenVersion(version);
}

/** True where the record was written, or being written, since `version` was read. */
export function readRetry(cpu: GuestCpu, pvti: number, version: number): boolean {
  cpu.readBarrier(); // body before version
  return cpu.load32(pvti + PVTI.version) !== version;
}

/** The time now by this record, mod 2^64; to be called between begin and retry. Adds its own TSC read. */
export function readCycles(cpu: GuestCpu, pvti: number): bigint {
  return cyclesToNs(cpu, pvti, cpu.rdtscOrdered()); // TSC after version
}

/** The time at `tsc` by this record, mod 2^64; to be called between begin and retry. */
export function cyclesToNs(cpu: GuestCpu, pvti: number, tsc: bigint): bigint {
  const mul = cpu.load32(pvti + PVTI.tscToSystemMul);
  const shift = signed8(cpu.load8(pvti + PVTI.tscShift));
  const systemTime = cpu.load64(pvti + PVTI.systemTime);
  const tscTimestamp = cpu.load64(pvti + PVTI.tscTimestamp);
  return lineAt(tsc, tscTimestamp, systemTime, mul, shift);
}

/** A record's line at `tsc`: u64 nanoseconds. */
export function lineAt(tsc: bigint, tscTimestamp: bigint, systemTime: bigint, mul: number, shift: number): bigint {
  const delta = BigInt.asUintN(64, tsc - tscTimestamp);
  return BigInt.asUintN(64, systemTime + scaleDelta(delta, mul, shift));
}

export function evenVersion(version: number): number {
  return (version & ~1) >>> 0;
}

export function signed8(byte: number): number {
  return (byte << 24) >> 24;
}
