/** What the simulated machine's host does to the VM's clock, each from the host's own thread. */
import type { KvmHypervisor } from '../../hypervisor/kvm.ts';
import { clockAt, nextCopy } from '../../hypervisor/master-clock.ts';
import { updateMasterClock } from '../../hypervisor/update.ts';
import { kick, MISMATCH_CYCLES, type SimulatedVm } from './vm.ts';

/**
 * - `refresh`: a new base for the same clock.
 * - `ahead`, `behind`: the new line stands a step ahead of the old one, or behind it.
 * - `set-clock`: KVM_SET_CLOCK, a step ahead of what KVM_GET_CLOCK has just answered.
 * - `unstable`: by turns, the TSC of the last vCPU is moved so that it matches no other, and all are made to match again.
 */
export const UPDATES = ['refresh', 'ahead', 'behind', 'set-clock', 'unstable'] as const;
export type UpdateKind = (typeof UPDATES)[number];

/** How many vCPUs an update takes: a single one's TSC matches itself, wherever it is moved. */
export function leastVcpus(kind: UpdateKind): number {
  return kind === 'unstable' ? 2 : 1;
}

/** ns: how far `ahead` and `behind` move the clock. */
export const STEP_NS = 1_000_000n;
/** ns: the same for `set-clock`: more than the host's thread may be held up between the two calls. */
export const SET_STEP_NS = 10_000_000_000n;

/** ns: where a clock begins that is to be set back many times, as time that runs below 0 is near 2^64. */
const FAR_FROM_ZERO_NS = 1n << 60n;

/** Returns the update as a function, to be called once for each. `steppingBack` is called while no line is current. */
export function updateOf(
  kind: UpdateKind,
  vm: SimulatedVm,
  hypervisor: KvmHypervisor,
  steppingBack: () => void,
): () => void {
  switch (kind) {
    case 'refresh':
      return () => hypervisor.refresh();
    case 'ahead':
      return () => shift(hypervisor, STEP_NS, () => {});
    case 'behind':
      hypervisor.setClock({ clock: FAR_FROM_ZERO_NS, flags: 0 });
      return () => shift(hypervisor, -STEP_NS, steppingBack);
    case 'set-clock':
      return () => hypervisor.setClock({ clock: hypervisor.getClock().clock + SET_STEP_NS, flags: 0 });
    case 'unstable':
      return stabilityByTurns(vm);
  }
}

function shift(hypervisor: KvmHypervisor, stepNs: bigint, done: () => void): void {
  const { vm } = hypervisor;
  updateMasterClock(vm.cpu, vm.setup, () => {
    done();
    return nextCopy(
      vm,
      (fresh, old, hostTsc) => clockAt(vm.cpu, vm.setup, old, hostTsc) + stepNs - fresh.masterKernelNs,
    );
  });
}

function stabilityByTurns(vm: SimulatedVm): () => void {
  const last = vm.vcpus - 1;
  const matching = vm.matchingOffset;
  let match = true;
  return () => {
    match = !match;
    if (!match) askOffset(vm, last, matching + MISMATCH_CYCLES);
    else for (let vcpu = last; vcpu >= 0; vcpu--) askOffset(vm, vcpu, matching);
  };
}

/** Has `vcpu`'s thread give it a TSC offset, as a VMM does between two runs; waits until that has entered with it. */
function askOffset(vm: SimulatedVm, vcpu: number, offset: bigint): void {
  Atomics.store(vm.offsets, vcpu, BigInt.asUintN(64, offset));
  Atomics.store(vm.offsetAsked, vcpu, 1);
  kick(vm, vcpu);
  while (Atomics.load(vm.offsetAsked, vcpu) !== 0) Atomics.wait(vm.offsetAsked, vcpu, 1);
}
