/**
 * One run of a thread's function on recorded answers: every call of the interface is answered from the history until that
 * is used up, and the first open one stops the run by a throw. "The answers so far" is all that a thread is.
 *
 * So the function must do the same on the same answers: keep no state outside its call, catch nothing, ask the time
 * nowhere else. A call that differs from the recorded one is found, and named.
 */
import type { GuestKernelCpu, TscAndVcpu } from '../guest/cpu.ts';
import type { HostCpu } from '../hypervisor/cpu.ts';
import type { HostSample } from '../hypervisor/host-clock.ts';
import { byteOf, type Cells, type Role, type Word } from './cells.ts';
import { KIND, type Kind, type Operation, type Rule } from './operations.ts';
import type { Early } from './windows.ts';

/** What one operation was answered. `value` is all that the function sees, and of RDTSCP the number too. */
export interface Answer {
  readonly value: Word;
  /** The update that the value comes from. */
  readonly stamp: number;
  /** Of a TSC read: the vCPU that did it ... */
  readonly vcpu: number;
  /** ... and what that vCPU's own record makes of the TSC. Of a sample of the host's TSC: the host's clock. */
  readonly expected: bigint;
}

export const NO_ANSWER: Answer = { value: 0, stamp: 0, vcpu: -1, expected: 0n };

/** What a thread's function may call: both interfaces, and what stands around the hypervisor's functions. */
export interface ThreadCpu extends GuestKernelCpu, HostCpu {
  /** Lets the vCPU run guest code until it leaves. */
  guest(): void;
  /** The number of the vCPU, where the guest's kernel turns preemption off: the call stays there from then on. */
  kernelVcpu(): number;
  /** The host's TSC and clock at one instant. */
  hostSample(): HostSample;
}

/** A thread's function. What it returns is judged by the scenario. */
export interface Program {
  /** As messages and traces name it. */
  readonly name: string;
  run(cpu: ThreadCpu): Word | undefined;
  /** What a thread that runs on a processor of its own does next. */
  readonly next?: Program;
}

/** Thrown where the answers end. One object, so that stopping costs no stack trace. */
const OPEN = { stopped: true };

export interface Run {
  /** The first operation that has no answer, or undefined where the function returned. */
  readonly open: Operation | undefined;
  readonly returned: Word | undefined;
  /** How many operations had been answered at each call of relax(). */
  readonly relaxed: readonly number[];
  /** The operations that were answered. */
  readonly answered: readonly Operation[];
  /** Answers left over: more than none where the function does something else than it did. */
  readonly unused: number;
}

export class ReplayCpu implements ThreadCpu {
  readonly #cells: Cells;
  readonly #early: Early | undefined;
  #answers: readonly Answer[] = [];
  #position = 0;
  #open: Operation | undefined;
  #answered: Operation[] = [];
  #relaxed: number[] = [];
  #stamps = new Map<Role, number>();

  /** `early`: how guests' loads may be done early, so that their barriers count. */
  constructor(cells: Cells, early: Early | undefined) {
    this.#cells = cells;
    this.#early = early;
  }

  /** Runs `program` on `answers`. Throws what the function throws. */
  run(program: Program, answers: readonly Answer[]): Run {
    this.#answers = answers;
    this.#position = 0;
    this.#open = undefined;
    this.#answered = [];
    this.#relaxed = [];
    this.#stamps = new Map();
    let returned: Word | undefined;
    try {
      returned = program.run(this);
    } catch (thrown) {
      if (thrown !== OPEN) throw thrown;
    }
    const unused = answers.length - this.#position;
    return { open: this.#open, returned, relaxed: this.#relaxed, answered: this.#answered, unused };
  }

  load8(address: number): number {
    return Number(this.#load(address, 1));
  }
  load32(address: number): number {
    return Number(this.#load(address, 4));
  }
  load64(address: number): bigint {
    return BigInt(this.#load(address, 8));
  }
  store32(address: number, value: number): void {
    this.#store(address, 4, value);
  }
  store64(address: number, value: bigint): void {
    this.#store(address, 8, value);
  }

  rdtscOrdered(): bigint {
    return this.rdtscp().tsc;
  }
  rdtsc(): bigint {
    return BigInt(this.#simple(this.#early === 'late-tsc' ? KIND.rdtscAnyTime : KIND.rdtsc).value);
  }
  rdtscp(): TscAndVcpu {
    if (this.#early === 'late-tsc') this.#simple(KIND.tscFence);
    const answer = this.#simple(KIND.rdtsc);
    return { tsc: BigInt(answer.value), vcpu: answer.vcpu };
  }
  vcpu(): number {
    return Number(this.#simple(KIND.vcpu).value);
  }
  kernelVcpu(): number {
    return Number(this.#simple(KIND.pin).value);
  }
  hostTsc(): bigint {
    return BigInt(this.#simple(KIND.hostTsc).value);
  }
  hostNs(): bigint {
    return BigInt(this.#simple(KIND.hostNs).value);
  }

  hostSample(): HostSample {
    const answer = this.#simple(KIND.hostSample);
    return { tsc: BigInt(answer.value), ns: answer.expected, realtimeNs: answer.expected };
  }

  readBarrier(): void {
    if (this.#early === 'any-order') this.#simple(KIND.readBarrier);
  }
  loadFence(): void {
    if (this.#early !== undefined) this.#simple(KIND.loadFence);
  }
  writeBarrier(): void {} // stores are not reordered with stores in either memory model
  fence(): void {
    this.#simple(KIND.fence);
  }

  fetchOr32(address: number, bits: number): number {
    return Number(this.#atomic(address, 4, 'or', bits));
  }
  fetchAndNot32(address: number, bits: number): number {
    return Number(this.#atomic(address, 4, 'andNot', bits));
  }
  exchange32(address: number, value: number): number {
    return Number(this.#atomic(address, 4, 'exchange', value));
  }
  fetchAnd8(address: number, mask: number): number {
    return Number(this.#atomic(address, 1, 'and8', mask));
  }
  compareExchange64(address: number, expected: bigint, desired: bigint): bigint {
    return BigInt(this.#atomic(address, 8, 'compareExchange', expected, desired));
  }

  wait32(address: number, value: number): void {
    const { cell, offset } = this.#cells.at(address, 4);
    this.#step({ ...plain(KIND.wait), cell, offset, bytes: 4, operand: value });
  }
  wake32(): void {} // a waiter looks at its word whenever that changes
  kick(): void {} // a vCPU may leave the guest at any time anyway
  guest(): void {
    this.#simple(KIND.guest);
  }

  relax(): void {
    this.#relaxed.push(this.#position);
  }

  #simple(kind: Kind): Answer {
    return this.#step(plain(kind));
  }

  #load(address: number, bytes: number): Word {
    const { cell, offset } = this.#cells.at(address, bytes);
    return this.#step({ ...plain(KIND.load), cell, offset, bytes }).value;
  }

  #store(address: number, bytes: number, operand: Word): void {
    const { cell, offset } = this.#cells.at(address, bytes);
    const { counts, stampFrom } = this.#cells.specs[cell]!;
    const stamp = stampFrom === undefined ? 0 : (this.#stamps.get(stampFrom) ?? 0);
    this.#step({ ...plain(counts ? KIND.count : KIND.store), cell, offset, bytes, operand, stamp });
  }

  #atomic(address: number, bytes: number, rule: Rule, operand: Word, desired?: Word): Word {
    const { cell, offset } = this.#cells.at(address, bytes);
    const operation = { ...plain(KIND.update), cell, offset, bytes, rule, operand };
    return this.#step(desired === undefined ? operation : { ...operation, desired }).value;
  }

  #step(operation: Operation): Answer {
    const position = this.#position;
    const answer = this.#answers[position];
    if (answer === undefined) {
      this.#open = operation;
      throw OPEN;
    }
    this.#position++;
    this.#answered.push(operation);
    if (operation.cell >= 0) this.#note(operation, answer);
    return answer;
  }

  /** Keeps the stamp of what was loaded or stored, for the stores that will carry it on. */
  #note(operation: Operation, answer: Answer): void {
    const stamp = operation.kind === KIND.store ? operation.stamp : answer.stamp;
    this.#stamps.set(roleOf(this.#cells, operation), stamp);
  }
}

/** What an access is of: of the word that holds both, a byte may be the shift or the flags. */
export function roleOf(cells: Cells, operation: Operation): Role {
  const role = cells.specs[operation.cell]!.role;
  return role === 'tscShift' && operation.bytes === 1 && operation.offset === 1 ? 'flags' : role;
}

/** What a load of `operation` gets of a cell that holds `value`. */
export function viewOf(operation: Operation, value: Word): Word {
  return operation.bytes === 1 ? byteOf(value, operation.offset) : value;
}

function plain(kind: Kind): Operation {
  return { kind, cell: -1, bytes: 0, offset: 0, operand: 0, stamp: 0 };
}
