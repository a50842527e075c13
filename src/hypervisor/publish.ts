/**
 * The writer's half of the sequence count: how each hypervisor puts a record where guests can see it.
 *
 * Guests may read any vCPU's record at any time, also while it is being written: only an odd version, seen before the
 * first changed word and until after the last, tells them so. The version comes out of guest memory, so it may be odd,
 * garbage or about to wrap: every writer must do with what it finds.
 */
import { PVCLOCK_GUEST_STOPPED, PVTI, type Pvti } from '../abi/pvti.ts';
import type { HostCpu } from './cpu.ts';
import type { Writer } from './policy.ts';

/** A record without its version, which belongs to the protocol. */
export type PvtiBody = Omit<Pvti, 'version'>;

/** Writes the record at `pvti` by `writer`'s protocol; `hostVersion`: address of the word that 2014's keeps its version in. */
export function publish(cpu: HostCpu, writer: Writer, pvti: number, body: PvtiBody, hostVersion: number): void {
  if (writer === 'today') publishToday(cpu, pvti, body);
  else if (writer === 'xen') publishXen(cpu, pvti, body);
  else if (writer === '2015') publishFromGuestVersion(cpu, pvti, body);
  else publishFromHostCache(cpu, pvti, body, hostVersion);
}

/**
 * KVM until November 2014: one copy of 32 bytes whose version is two on from the last that the host remembers writing.
 * Whole only if nobody looks before it is done: it is never odd, and its first word is the version. Returns the version it left.
 */
export function publishFromHostCache(cpu: HostCpu, pvti: number, body: PvtiBody, hostVersion: number): number {
  const version = (cpu.load32(hostVersion) + 2) >>> 0;
  cpu.store32(hostVersion, version);
  copyOver(cpu, pvti, body, version);
  return version;
}

/**
 * KVM in January 2015: the same copy, its version two on from the one in guest memory, and still no odd phase. Another
 * vCPU can read the new version with the old body and find nothing wrong. An odd version stays odd for ever: no reader
 * gets past it. Returns the version it left.
 */
export function publishFromGuestVersion(cpu: HostCpu, pvti: number, body: PvtiBody): number {
  const version = (cpu.load32(pvti + PVTI.version) + 2) >>> 0;
  copyOver(cpu, pvti, body, version);
  return version;
}

/**
 * KVM since v4.1: odd, body, even, counted from the version in guest memory. A GUEST_STOPPED that the guest has not
 * yet taken survives. Returns the version it left.
 */
export function publishToday(cpu: HostCpu, pvti: number, body: PvtiBody): number {
  const odd = ((cpu.load32(pvti + PVTI.version) + 1) | 1) >>> 0; // the |1 mends an odd or garbage version
  cpu.store32(pvti + PVTI.version, odd);
  cpu.writeBarrier(); // odd version before body
  storeBody(cpu, pvti, body, body.flags | (flagsOf(cpu, pvti) & PVCLOCK_GUEST_STOPPED));
  cpu.writeBarrier(); // body before even version
  const even = (odd + 1) >>> 0;
  cpu.store32(pvti + PVTI.version, even);
  return even;
}

/**
 * Xen: the caller has collected the body; it is compared with what stands there and published, odd, body, even, only if
 * it differs. Returns the version it left, or undefined where there was nothing to publish.
 */
export function publishXen(cpu: HostCpu, pvti: number, body: PvtiBody): number | undefined {
  if (sameBody(cpu, pvti, body)) return undefined;
  const odd = ((cpu.load32(pvti + PVTI.version) + 1) | 1) >>> 0; // the |1 mends an odd or garbage version
  cpu.store32(pvti + PVTI.version, odd);
  cpu.writeBarrier(); // odd version before body
  storeBody(cpu, pvti, body, body.flags);
  cpu.writeBarrier(); // body before even version
  const even = (odd + 1) >>> 0;
  cpu.store32(pvti + PVTI.version, even);
  return even;
}

/** The body word by word, in the order of their addresses. */
export function storeBody(cpu: HostCpu, pvti: number, body: PvtiBody, flags: number): void {
  cpu.store32(pvti + PVTI.pad0, 0);
  cpu.store64(pvti + PVTI.tscTimestamp, body.tscTimestamp);
  cpu.store64(pvti + PVTI.systemTime, body.systemTime);
  cpu.store32(pvti + PVTI.tscToSystemMul, body.tscToSystemMul);
  cpu.store32(pvti + PVTI.tscShift, lastWord(body, flags));
}

/** The copy of the years before v4.1: every word in the order of its address, the version first, no barrier between. */
function copyOver(cpu: HostCpu, pvti: number, body: PvtiBody, version: number): void {
  const flags = body.flags | (flagsOf(cpu, pvti) & PVCLOCK_GUEST_STOPPED);
  cpu.store32(pvti + PVTI.version, version);
  storeBody(cpu, pvti, body, flags);
}

function sameBody(cpu: HostCpu, pvti: number, body: PvtiBody): boolean {
  return (
    cpu.load64(pvti + PVTI.tscTimestamp) === body.tscTimestamp &&
    cpu.load64(pvti + PVTI.systemTime) === body.systemTime &&
    cpu.load32(pvti + PVTI.tscToSystemMul) === body.tscToSystemMul &&
    cpu.load32(pvti + PVTI.tscShift) === lastWord(body, body.flags)
  );
}

/** Shift, flags and padding are one word. */
function lastWord(body: PvtiBody, flags: number): number {
  return (body.tscShift & 0xff) | (flags << 8);
}

function flagsOf(cpu: HostCpu, pvti: number): number {
  return (cpu.load32(pvti + PVTI.tscShift) >>> 8) & 0xff;
}
