/**
 * Two ways in which others may come to see what a writer stores: in the order of its program, as on x86; or, of all that it
 * stores between two barriers, the last first, as a processor with weaker rules, or a compiler, may have it.
 */
import assert from 'node:assert/strict';
import type { HostCpu } from '../../src/hypervisor/cpu.ts';
import { Thread } from './stepper.ts';

/** Runs `write` over `memory`; `look` before it, and after each store as it is seen. */
type Watch = (memory: HostCpu, write: (cpu: HostCpu) => void, look: () => void) => void;

const inOrder: Watch = (memory, write, look) => {
  const thread = new Thread(memory, write);
  for (look(); !thread.finished; look()) thread.step();
};

const lastFirst: Watch = (memory, write, look) => {
  const waiting: { readonly address: number; readonly seen: () => void }[] = [];
  const drain = (): void => {
    for (let store = waiting.pop(); store !== undefined; store = waiting.pop()) {
      store.seen();
      look();
    }
  };
  const notWaiting = (address: number): void => {
    assert.ok(!waiting.some((store) => store.address === address), `${address} is read back before a barrier`);
  };
  const barred = <T>(act: () => T): T => {
    drain();
    return act();
  };
  look();
  write({
    load32(address) {
      notWaiting(address);
      return memory.load32(address);
    },
    load64(address) {
      notWaiting(address);
      return memory.load64(address);
    },
    store32(address, value) {
      assert.ok(Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff, `${value} is no u32`);
      waiting.push({ address, seen: () => memory.store32(address, value) });
    },
    store64(address, value) {
      assert.ok(value >= 0n && value < 1n << 64n, `${value} is no u64`);
      waiting.push({ address, seen: () => memory.store64(address, value) });
    },
    writeBarrier: drain,
    fence: drain,
    fetchOr32: (address, bits) => barred(() => memory.fetchOr32(address, bits)),
    fetchAndNot32: (address, bits) => barred(() => memory.fetchAndNot32(address, bits)),
    exchange32: (address, value) => barred(() => memory.exchange32(address, value)),
    wait32: (address, value) => memory.wait32(address, value),
    wake32: (address) => memory.wake32(address),
    kick: (vcpu) => memory.kick(vcpu),
    hostTsc: () => memory.hostTsc(),
    hostNs: () => memory.hostNs(),
    relax: () => memory.relax(),
  });
  drain();
};

export const WATCHES: Readonly<Record<'in order' | 'last first', Watch>> = {
  'in order': inOrder,
  'last first': lastFirst,
};

export type StoreOrder = keyof typeof WATCHES;

/** The same writer with its write barriers left out. */
export function withoutBarriers(write: (cpu: HostCpu) => void): (cpu: HostCpu) => void {
  return (cpu) => write({ ...cpu, writeBarrier() {} });
}
