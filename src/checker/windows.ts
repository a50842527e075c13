/**
 * Loads done early. A load that is done before its turn gets what its cell held then; so a thread whose loads may be early
 * carries the values that went out of memory since its last barrier, the oldest first: its window. Each window is
 * numbered once.
 *
 * In `any-order` every load picks for itself, only never older than an earlier load of the same cell. In `late-tsc` loads keep
 * their order among themselves: a load was done as soon as its cell held what it got, but after the load before it, and all that
 * follow are done later than that; and the vCPU must not have left the guest meanwhile, nor run another thread, as an interrupt throws
 * early loads away.
 */

/** Nothing has changed since the barrier. */
export const NO_WINDOW = 0;

/** The thread is on no vCPU in particular. */
export const ANYWHERE = -1;

/** In a window: not a cell (nor -1, none) but the tick; below it, the vCPUs, where what is lost is what was done there. */
export const TICK = -2;

export type Early = 'any-order' | 'late-tsc';

export const EARLY: readonly Early[] = ['any-order', 'late-tsc'];

/** Which cell changed, and the number of the value that it lost. */
interface Lost {
  readonly cell: number;
  readonly value: number;
}

interface Window {
  readonly vcpu: number;
  readonly lost: readonly Lost[];
}

export class Windows {
  readonly #all: Window[] = [];
  readonly #ids = new Map<string, number>();
  readonly #inOrder: boolean;

  constructor(early: Early) {
    this.#inOrder = early === 'late-tsc';
    this.#intern(ANYWHERE, []);
  }

  /** A window that opens now on `vcpu`. */
  opened(vcpu: number): number {
    return this.#inOrder ? this.#intern(vcpu, []) : NO_WINDOW;
  }

  /** The same window, of a thread that turns out to be on `vcpu`: as long as nothing has interrupted that. */
  on(window: number, vcpu: number): number {
    const { lost } = this.#all[window]!;
    const since = lost.findLastIndex(({ cell }) => cell === interrupted(vcpu)) + 1;
    return this.#intern(
      vcpu,
      lost.filter(({ cell }, at) => at >= since && cell >= TICK),
    );
  }

  /** The window after `vcpu` has left the guest or entered it, or run another thread. */
  interrupted(window: number, vcpu: number): number {
    const { vcpu: own, lost } = this.#all[window]!;
    if (own === vcpu) return NO_WINDOW;
    if (own !== ANYWHERE || lost.length === 0) return window;
    const mark = { cell: interrupted(vcpu), value: 0 };
    return this.#intern(own, [...lost.filter(({ cell }) => cell !== mark.cell), mark]);
  }

  vcpu(window: number): number {
    return this.#all[window]!.vcpu;
  }

  /** The window after `cell` has lost `value`. */
  lost(window: number, cell: number, value: number): number {
    const { vcpu, lost } = this.#all[window]!;
    return this.#intern(vcpu, [...lost, { cell, value }]);
  }

  /** True where a load may still get an older value. */
  isOpen(window: number): boolean {
    return this.#all[window]!.lost.some(({ cell }) => cell >= 0);
  }

  /** How many older values a load of `cell`, or a reading of the tick, may get. */
  choices(window: number, cell: number): number {
    return this.#all[window]!.lost.filter((entry) => entry.cell === cell).length;
  }

  /** The value of choice 0 (the oldest) ... */
  value(window: number, cell: number, choice: number): number {
    return this.#all[window]!.lost.filter((entry) => entry.cell === cell)[choice]!.value;
  }

  /**
   * The window behind a load of `cell` that got choice `choice`, or, where that is the number of choices, what memory holds. A TSC
   * read has no order with loads, only with the next one.
   */
  after(window: number, cell: number, choice: number): number {
    const { vcpu, lost } = this.#all[window]!;
    let older = choice;
    const since = older === 0 ? 0 : lost.findIndex((entry) => entry.cell === cell && --older === 0) + 1;
    const bound = (other: number): boolean => other === cell || (this.#inOrder && cell >= 0 && other >= 0);
    return this.#intern(
      vcpu,
      lost.filter((entry, at) => at >= since || !bound(entry.cell)),
    );
  }

  /** The window behind a load that keeps its order with others and was not done before its turn. */
  inTurn(window: number): number {
    const { vcpu, lost } = this.#all[window]!;
    return this.#intern(
      vcpu,
      lost.filter(({ cell }) => cell < 0),
    );
  }

  #intern(vcpu: number, inTime: readonly Lost[]): number {
    // Between cells that are read in any order it does not matter which of them changed first.
    const lost = this.#inOrder ? inTime : inTime.toSorted((a, b) => a.cell - b.cell);
    const key = `${vcpu} ${lost.map(({ cell, value }) => `${cell}:${value}`).join()}`;
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    const id = this.#all.push({ vcpu, lost }) - 1;
    this.#ids.set(key, id);
    return id;
  }
}

function interrupted(vcpu: number): number {
  return TICK - 1 - vcpu;
}
