/**
 * Loads done before their turn, by guest threads, in one of two manners:
 *
 * `any-order`: a load may be done at any time since the last barrier, whatever other loads do; only two loads of one cell keep
 * their order. What a processor with weaker rules than x86 may do, and a compiler: what read barriers are for.
 *
 * `late-tsc`: x86 with its TSC read as it is. LFENCE; RDTSC reads the TSC after every earlier load, but loads that follow may
 * be done before it, in their own order. RDTSC alone may be done before earlier loads as well, those before the
 * call included. A move to another vCPU, an exit or another thread on the vCPU in between throws early loads away, as an interrupt
 * does.
 */
import { HYPERVISOR_WORDS } from '../hypervisor/cpu.ts';
import type { Histories } from './histories.ts';
import type { MemoryState } from './memory.ts';
import { KIND, type Kind, type Operations } from './operations.ts';
import { type Early, NO_WINDOW, TICK, Windows } from './windows.ts';
import type { World } from './world.ts';

export class EarlyLoads {
  /** The moment at which a call begins matters to its loads, so that it is a step of its own. */
  readonly beginsFirst: boolean;
  readonly #early: Early;
  readonly #windows: Windows;
  readonly #histories: Histories;
  readonly #operations: Operations;
  /** Of each guest: its window's field, and its node's. */
  readonly #window: readonly number[];
  readonly #node: readonly number[];
  /** 1 for a cell that guests read. */
  readonly #shared: Uint8Array;

  constructor(early: Early, world: Pick<World, 'histories' | 'layout' | 'scenario' | 'hosts' | 'others'>) {
    this.beginsFirst = early === 'any-order';
    this.#early = early;
    this.#windows = new Windows(early);
    this.#histories = world.histories;
    this.#operations = world.histories.operations;
    this.#window = world.layout.window;
    this.#node = world.layout.node.slice(world.hosts + world.others);
    this.#shared = Uint8Array.from(world.scenario.cells, ({ address, perThread }) =>
      address < HYPERVISOR_WORDS && !perThread ? 1 : 0,
    );
  }

  /** How many older values the operation at `node`, which may begin a call, may be answered with on `vcpu`, beside the present one. */
  choices(to: MemoryState, guest: number, vcpu: number, node: number, cell: number, begins: boolean): number {
    const before = to.now(this.#window[guest]!);
    const window = begins ? this.#windows.on(before, vcpu) : before;
    if (this.#early === 'any-order') return cell >= 0 ? this.#windows.choices(window, cell) : 0;
    if (this.#windows.vcpu(window) !== vcpu) return 0;
    const kind = this.#histories.operation(node).kind;
    if (kind === KIND.rdtscAnyTime) return this.#windows.choices(window, TICK);
    return kind === KIND.load && this.#histories.afterTsc[node] === 1 ? this.#windows.choices(window, cell) : 0;
  }

  /** The number of the value, or tick, of choice 0 (the oldest), 1 ... */
  value(to: MemoryState, guest: number, cell: number, choice: number): number {
    return this.#windows.value(to.get(this.#window[guest]!), cell >= 0 ? cell : TICK, choice);
  }

  /** Guest `guest` has done the operation at `node` on `vcpu`: with an older value (`choice`), or the present one (-1). */
  did(to: MemoryState, guest: number, vcpu: number, node: number, kind: Kind, cell: number, choice: number): void {
    const field = this.#window[guest]!;
    if (this.#early === 'late-tsc') this.#interrupt(to, guest, vcpu);
    to.put(field, this.#windowAfter(to.get(field), vcpu, node, kind, cell, choice));
  }

  #windowAfter(before: number, vcpu: number, node: number, kind: Kind, cell: number, choice: number): number {
    const windows = this.#windows;
    if (kind === KIND.readBarrier || kind === KIND.loadFence || kind === KIND.tscFence || kind === KIND.update) {
      return windows.opened(vcpu);
    }
    const inOrder = this.#early === 'late-tsc';
    const window = inOrder && windows.vcpu(before) !== vcpu ? windows.opened(vcpu) : before;
    const read = kind === KIND.rdtscAnyTime ? TICK : cell;
    if (read !== TICK && (kind !== KIND.load || this.#shared[cell] === 0)) return window;
    if (inOrder && read !== TICK && this.#histories.afterTsc[node] === 0) return windows.inTurn(window);
    return windows.after(window, read, choice >= 0 ? choice : windows.choices(window, read));
  }

  /** `guest` runs on `vcpu`: whoever else was there is not. */
  #interrupt(to: MemoryState, guest: number, vcpu: number): void {
    this.#window.forEach((field, other) => {
      if (other !== guest) to.put(field, this.#windows.interrupted(to.get(field), vcpu));
    });
  }

  /** A call begins on `vcpu`. An RDTSC in it may be done before it: as long ago as nothing has interrupted that vCPU. */
  began(to: MemoryState, guest: number, vcpu: number): void {
    const field = this.#window[guest]!;
    if (this.#early === 'late-tsc') to.put(field, this.#windows.on(to.get(field), vcpu));
  }

  ended(to: MemoryState, guest: number): void {
    to.put(this.#window[guest]!, NO_WINDOW);
  }

  /** Memory has lost `value` of `cell`, or the host's time has left tick `value`. */
  lost(to: MemoryState, cell: number, value: number): void {
    if (cell >= 0 && this.#shared[cell] === 0) return;
    for (let guest = 0; guest < this.#window.length; guest++) {
      const field = this.#window[guest]!;
      if (this.#keeps(to.get(this.#node[guest]!), cell, to.get(field))) {
        to.put(field, this.#windows.lost(to.get(field), cell >= 0 ? cell : TICK, value));
      }
    }
  }

  /** `vcpu` has left the guest, or entered it. */
  crossed(to: MemoryState, vcpu: number): void {
    if (this.#early === 'late-tsc') this.#interrupt(to, -1, vcpu);
  }

  /** True where a thread at `node` may yet get what is lost now. */
  #keeps(node: number, cell: number, window: number): boolean {
    const { kind } = this.#histories.operation(node);
    if (cell < 0)
      return this.#early === 'late-tsc' && this.#operations.readsTscAnyTime && this.#histories.afterTsc[node] === 0;
    if (kind === KIND.end) return false; // between two calls
    if (this.#early === 'any-order') return true;
    if (kind === KIND.rdtsc || kind === KIND.rdtscAnyTime) return true;
    // Behind the TSC read loads are done in their turn; but what changes meanwhile bounds how early a load before it was.
    return this.#histories.afterTsc[node] === 1 && this.#windows.isOpen(window);
  }
}
