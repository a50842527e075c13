/** A thread of the hypervisor that really sleeps, and what others do meanwhile: does anybody wake it? */
import assert from 'node:assert/strict';
import type { HostCpu } from '../../src/hypervisor/cpu.ts';

const MOST_LOOKS = 20;

/**
 * `memory` for a thread that sleeps wherever it asks to, until it is woken: while it does, each of `others` acts once, in
 * turn, on the cpu that it is given. Fails where a sleep would end at once, where nobody is left to end it, and where the
 * thread goes round without one, or without `relax`.
 */
export function sleeper(memory: HostCpu, others: readonly ((cpu: HostCpu) => void)[]): HostCpu {
  const woken = new Set<number>();
  const left = [...others];
  let looks = 0;
  let relaxed = true;
  const look = (): void => {
    assert.ok(relaxed, 'it goes round without relax()');
    looks++;
    assert.ok(looks < MOST_LOOKS, 'it goes round without a sleep');
  };
  const awake = withMembers(memory, { wake32: (address) => void woken.add(address) });
  return withMembers(memory, {
    wait32(address, value) {
      assert.equal(memory.load32(address), value, 'a sleep that would end at once');
      for (woken.delete(address); !woken.has(address); ) {
        const act = left.shift();
        assert.ok(act !== undefined, `nobody wakes who sleeps at ${address}`);
        act(awake);
      }
      relaxed = false;
    },
    relax() {
      relaxed = true;
    },
    exchange32(address, value) {
      look();
      return memory.exchange32(address, value);
    },
    load32(address) {
      look();
      return memory.load32(address);
    },
  });
}

/** `memory`, but for `members`. */
export function withMembers(memory: HostCpu, members: Partial<HostCpu>): HostCpu {
  return new Proxy(memory, {
    get(target, name) {
      const own: unknown = Reflect.get(members, name);
      if (own !== undefined) return own;
      const member: unknown = Reflect.get(target, name);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}
