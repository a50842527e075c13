import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acquire, release } from '../../src/hypervisor/lock.ts';
import { VM_WORDS, vmWord } from '../../src/hypervisor/words.ts';
import { bareVm } from './bare-vm.ts';
import { sleeper, withMembers } from './sleeper.ts';

const LOCK = vmWord(VM_WORDS.lock);

test('acquire() sleeps while the lock is taken, looks again when it is woken, and has it once it is free', () => {
  const { memory } = bareVm();
  acquire(memory, LOCK);
  acquire(sleeper(memory, [(cpu) => cpu.wake32(LOCK), (cpu) => release(cpu, LOCK)]), LOCK);
  assert.equal(memory.load32(LOCK), 1);
  release(memory, LOCK);
  assert.equal(memory.load32(LOCK), 0);
});

test('release() wakes nobody before the lock is free, and one that wakes nobody is caught', () => {
  const { memory } = bareVm();
  acquire(memory, LOCK);
  const free: boolean[] = [];
  const wake32 = (address: number): void => void free.push(memory.load32(address) === 0);
  release(withMembers(memory, { wake32 }), LOCK);
  assert.deepEqual(free, [true]);
  acquire(memory, LOCK);
  const mute = sleeper(memory, [(cpu) => release(withMembers(cpu, { wake32() {} }), LOCK)]);
  assert.throws(() => acquire(mute, LOCK), /nobody wakes who sleeps/);
});
