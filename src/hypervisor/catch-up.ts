/**
 * TSC catch-up: where a guest is to have a faster TSC than the processor, and the processor cannot scale it, its offset is
 * bumped whenever its record is written, so that it has advanced by then as far as it should have.
 */
import { scaleDelta } from '../scale/scale-delta.ts';
import type { HostCpu } from './cpu.ts';
import { moveTsc, mulOf, shiftOf } from './guest-tsc.ts';
import type { Policy } from './policy.ts';
import { VCPU_WORDS, vcpuWord } from './words.ts';

/** The TSC that `vcpu` should show at `hostNs`: what was written to it last, and the cycles since at its own rate. */
export function tscDue(cpu: HostCpu, policy: Policy, vcpu: number, hostNs: bigint): bigint {
  const written = cpu.load64(vcpuWord(vcpu, VCPU_WORDS.thisTscWrite));
  const sinceNs = hostNs - cpu.load64(vcpuWord(vcpu, VCPU_WORDS.thisTscNs));
  if (sinceNs < 0n && policy.catchUp === 'forward') return written; // the sample is older than the write
  const scale = cpu.load64(vcpuWord(vcpu, VCPU_WORDS.virtualScale));
  return BigInt.asUintN(64, written + scaleDelta(BigInt.asUintN(64, sinceNs), mulOf(scale), shiftOf(scale)));
}

/** Bumps `vcpu`'s TSC, which shows `tsc`, to where it should be at `hostNs`; never back. Returns what it shows now. */
export function catchUp(cpu: HostCpu, policy: Policy, vcpu: number, tsc: bigint, hostNs: bigint): bigint {
  const due = tscDue(cpu, policy, vcpu, hostNs);
  if (due <= tsc) return tsc;
  moveTsc(cpu, vcpu, due - tsc);
  return due;
}
