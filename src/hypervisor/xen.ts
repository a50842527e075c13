/**
 * Xen's way. There is no VM-wide line: every physical processor has a stamp, its own (TSC, time, rate), taken anew at each
 * calibration, and a vCPU's record is the stamp of the processor it runs on. So records differ between vCPUs, and change
 * whenever a vCPU moves or its processor is calibrated; they carry the stable bit where the host keeps time by its TSC,
 * which guests must be ready to see come and go at any read.
 * A record is collected, compared with what stands in guest memory, and published only if it differs.
 *
 * Guests name their records by hypercall, not by MSR: the record in the vCPU's vcpu_info, and if they like a second copy
 * elsewhere, which their user space may be shown. The time in them counts from the host's boot.
 */
import { PVCLOCK_TSC_STABLE_BIT, PVTI_BYTES } from '../abi/pvti.ts';
import { WALL_CLOCK_BYTES } from '../abi/wall-clock.ts';
import { tscToNs } from '../scale/time-scale.ts';
import { checkMemory, checkVcpuNumber } from './arguments.ts';
import { type HostCpu, HYPERVISOR_WORDS } from './cpu.ts';
import type { HostClock } from './host-clock.ts';
import { type PvtiBody, publishXen } from './publish.ts';
import { addressOf, isKept } from './record.ts';
import type { BoundedMemory } from './shared-memory.ts';
import { publishWallClock } from './wall-clock.ts';
import { VCPU_WORDS, vcpuWord } from './words.ts';

/** What createHypervisor() takes for the flavour `xen`: see KvmOptions. */
export interface XenOptions {
  readonly memory: HostCpu & Partial<BoundedMemory>;
  readonly vcpus: number;
  readonly hostClock: HostClock;
}

/** What one physical processor's clock goes on from. */
export interface XenStamp {
  /** Host cycles ... */
  readonly tsc: bigint;
  /** ... at this time since the host's boot, ns. */
  readonly ns: bigint;
  /** Cycles a second, as the last calibration found them; 0 before the first. */
  readonly tscHz: bigint;
}

/** The clock of a VM as Xen keeps it: every vCPU goes on by the stamp of the processor that it runs on. */
export interface XenHypervisor {
  /** A stamp of the processor that this runs on, now. */
  takeStamp(): XenStamp;
  /**
   * `vcpu` goes on by `stamp`: to be called by its thread when it is put on a processor and when that is calibrated. True where a
   * record had to be published.
   */
  update(vcpu: number, stamp: XenStamp): boolean;
  /** The guest's record is at `address` from now on, and valid when this returns; undefined gives it up. False: not there. */
  registerTime(vcpu: number, address: number | undefined, stamp?: XenStamp): boolean;
  /** The same for the second copy. */
  registerSecondary(vcpu: number, address: number | undefined, stamp?: XenStamp): boolean;
  /** The guest's TSC is the host's and this, cycles mod 2^64. */
  setTscOffset(vcpu: number, offset: bigint): void;
  /** Writes the UTC instant of the host's boot; `secHi`: address of the high word of its seconds. False: not there. */
  writeWallClock(address: number, secHi: number): boolean;
}

/** The record that `stamp` makes for a vCPU whose TSC is the host's and `tscOffset`. */
export function collect(stamp: XenStamp, tscOffset: bigint, stable: boolean): PvtiBody {
  const { mul, shift } = tscToNs(stamp.tscHz);
  return {
    tscTimestamp: BigInt.asUintN(64, stamp.tsc + tscOffset),
    systemTime: stamp.ns,
    tscToSystemMul: mul,
    tscShift: shift,
    flags: stable ? PVCLOCK_TSC_STABLE_BIT : 0,
  };
}

export function createXen(options: XenOptions): XenHypervisor {
  const { memory: cpu, vcpus, hostClock } = options;
  checkMemory(cpu, vcpus);

  function holds(address: number, bytes: number): boolean {
    return address % 4 === 0 && address + bytes <= HYPERVISOR_WORDS && (cpu.holds?.(address, bytes) ?? true);
  }

  function takeStamp(): XenStamp {
    const sample = hostClock.sample();
    return { tsc: sample?.tsc ?? cpu.hostTsc(), ns: sample?.ns ?? cpu.hostNs(), tscHz: hostClock.tscHz() };
  }

  function update(vcpu: number, stamp: XenStamp): boolean {
    checkVcpuNumber(vcpus, vcpu);
    if (stamp.tscHz === 0n) return false; // no line yet: the stamp of the first calibration brings it
    const body = collect(stamp, cpu.load64(vcpuWord(vcpu, VCPU_WORDS.tscOffset)), hostClock.sample() !== undefined);
    const first = publishAt(cpu, vcpuWord(vcpu, VCPU_WORDS.record), body);
    const second = publishAt(cpu, vcpuWord(vcpu, VCPU_WORDS.secondaryRecord), body);
    return first || second;
  }

  function register(vcpu: number, word: number, address: number | undefined, stamp: XenStamp): boolean {
    checkVcpuNumber(vcpus, vcpu);
    if (address !== undefined && !holds(address, PVTI_BYTES)) return false;
    cpu.store64(word, address === undefined ? 0n : BigInt(address) | 1n);
    update(vcpu, stamp);
    return true;
  }

  return {
    takeStamp,
    update,
    registerTime: (vcpu, address, stamp = takeStamp()) =>
      register(vcpu, vcpuWord(vcpu, VCPU_WORDS.record), address, stamp),
    registerSecondary: (vcpu, address, stamp = takeStamp()) =>
      register(vcpu, vcpuWord(vcpu, VCPU_WORDS.secondaryRecord), address, stamp),
    setTscOffset: (vcpu, offset) => {
      checkVcpuNumber(vcpus, vcpu);
      cpu.store64(vcpuWord(vcpu, VCPU_WORDS.tscOffset), BigInt.asUintN(64, offset));
    },
    writeWallClock: (address, secHi) => {
      if (!holds(address, WALL_CLOCK_BYTES) || !holds(secHi, 4)) return false;
      const sample = hostClock.sample();
      const bootNs = (sample?.realtimeNs ?? hostClock.realtimeNs()) - (sample?.ns ?? cpu.hostNs());
      publishWallClock(cpu, address, bootNs > 0n ? bootNs : 0n, secHi);
      return true;
    },
  };
}

/** Publishes to the record that the word names, if any; true where it had to. */
function publishAt(cpu: HostCpu, word: number, body: PvtiBody): boolean {
  const record = cpu.load64(word);
  return isKept(record) && publishXen(cpu, addressOf(record), body) !== undefined;
}
