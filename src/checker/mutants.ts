/**
 * The shipped functions with one thing changed on purpose. They are left as they are: a mutant is a cpu that does not quite
 * do what it is asked.
 */
import type { Policy } from '../hypervisor/policy.ts';
import type { CellSpec } from './cells.ts';
import type { ThreadCpu } from './replay.ts';

/** Made anew for every call, so that what it remembers is of that call. */
export type Wrap = (cpu: ThreadCpu) => ThreadCpu;

export type ThreadReader = (cpu: ThreadCpu, records: number) => bigint | undefined;

export interface Mutants {
  /** Another reader in the place of the configuration's. */
  readonly reader?: ThreadReader;
  /** What the reader is given in the place of its cpu. */
  readonly guest?: Wrap;
  /** The same for the guest kernel's own read. */
  readonly kernel?: Wrap;
  /** The same for the hypervisor's threads. */
  readonly host?: Wrap;
  /** Another order that the hypervisor offers by itself. */
  readonly policy?: Partial<Policy>;
  /** Another beginning: the memory's cells as they are first. */
  readonly first?: (cells: readonly CellSpec[]) => readonly CellSpec[];
}

/** `cpu`, but for `changes`. */
export function changed(cpu: ThreadCpu, changes: Partial<ThreadCpu>): ThreadCpu {
  return {
    load8: (address) => cpu.load8(address),
    load32: (address) => cpu.load32(address),
    load64: (address) => cpu.load64(address),
    store32: (address, value) => cpu.store32(address, value),
    store64: (address, value) => cpu.store64(address, value),
    rdtscOrdered: () => cpu.rdtscOrdered(),
    rdtsc: () => cpu.rdtsc(),
    rdtscp: () => cpu.rdtscp(),
    readBarrier: () => cpu.readBarrier(),
    loadFence: () => cpu.loadFence(),
    writeBarrier: () => cpu.writeBarrier(),
    fence: () => cpu.fence(),
    vcpu: () => cpu.vcpu(),
    kernelVcpu: () => cpu.kernelVcpu(),
    fetchOr32: (address, bits) => cpu.fetchOr32(address, bits),
    fetchAndNot32: (address, bits) => cpu.fetchAndNot32(address, bits),
    exchange32: (address, value) => cpu.exchange32(address, value),
    fetchAnd8: (address, mask) => cpu.fetchAnd8(address, mask),
    compareExchange64: (address, expected, desired) => cpu.compareExchange64(address, expected, desired),
    wait32: (address, value) => cpu.wait32(address, value),
    wake32: (address) => cpu.wake32(address),
    kick: (vcpu) => cpu.kick(vcpu),
    hostTsc: () => cpu.hostTsc(),
    hostNs: () => cpu.hostNs(),
    hostSample: () => cpu.hostSample(),
    guest: () => cpu.guest(),
    relax: () => cpu.relax(),
    ...changes,
  };
}
