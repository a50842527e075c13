/**
 * Loads done early. A load that is done before its turn gets what its cell held then; so a thread whose loads may be early
 * carries the values that went out of memory since its last barrier, the oldest first: its window. Each window is
 * numbered once.
 *
 * In `any-order` every load picks for itself, only never older than an earlier load of the same cell. In `late-tsc` loads keep
 * their order among themselves: a load was done as soon as its cell held what it got, but after the load before it, and all that follow
 * are done later than that; and the thread must not have left its vCPU meanwhile, nor that the guest, as an interrupt throws
 * early loads away.
 */

/** Nothing has changed since the barrier. */
export const NO_WINDOW = 0;

/** The thread is on no vCPU in particular. */
export const ANYWHERE = -1;

export type Early = 'any-order' | 'late-tsc';

export const EARLY: readonly Early[] = ['any-order', 'late-tsc'];

interface Window {
  readonly vcpu: number;
  /** Which cell changed (below 0: something that loads have no order with), and the number of the value that it lost. */
  readonly lost: readonly { readonly cell: number; readonly value: number }[];
}

export class Windows {
  readonly #all: Window[] = [];
  readonly #ids = new Map<string, number>();
  readonly #inOrder: boolean;

  constructor(early: Early) {
    this.#inOrder = early === 'late-tsc';
    this.#intern({ vcpu: ANYWHERE, lost: [] });
  }

  /** A window that opens now on `vcpu`. */
  opened(vcpu: number): number {
    return this.#inOrder ? this.#intern({ vcpu, lost: [] }) : NO_WINDOW;
  }

  /** The same window, of a thread that turns out to be on `vcpu`. */
  on(window: number, vcpu: number): number {
    return this.#intern({ vcpu, lost: this.#all[window]!.lost });
  }

  vcpu(window: number): number {
    return this.#all[window]!.vcpu;
  }

  /** The window after `cell` has lost `value`. */
  lost(window: number, cell: number, value: number): number {
    const { vcpu, lost } = this.#all[window]!;
    return this.#intern({ vcpu, lost: [...lost, { cell, value }] });
  }

  /** How many older values a load of `cell` may get. */
  choices(window: number, cell: number): number {
    return this.#all[window]!.lost.filter((entry) => entry.cell === cell).length;
  }

  /** The value of choice 0 (the oldest) ... */
  value(window: number, cell: number, choice: number): number {
    return this.#all[window]!.lost.filter((entry) => entry.cell === cell)[choice]!.value;
  }

  /** The window behind a load of `cell` that got choice `choice`. */
  after(window: number, cell: number, choice: number): number {
    return this.#from(window, cell, choice);
  }

  /** The window behind a load of `cell` that got what memory holds. */
  afterPresent(window: number, cell: number): number {
    return this.#from(window, cell, this.choices(window, cell));
  }

  /** True where a load may still get an older value. */
  isOpen(window: number): boolean {
    return this.#all[window]!.lost.some(({ cell }) => cell >= 0);
  }

  /** What may still be had once a load of `cell` has got choice `choice`. */
  #from(window: number, cell: number, choice: number): number {
    const { vcpu, lost } = this.#all[window]!;
    let older = choice;
    const since = older === 0 ? 0 : lost.findIndex((entry) => entry.cell === cell && --older === 0) + 1;
    const kept = lost.filter((entry, at) => at >= since || entry.cell < 0 || (!this.#inOrder && entry.cell !== cell));
    return this.#intern({ vcpu, lost: kept });
  }

  #intern(window: Window): number {
    // Between cells that are read in any order it does not matter which of them changed first.
    const lost = this.#inOrder ? window.lost : [...window.lost].sort((a, b) => a.cell - b.cell);
    const key = `${window.vcpu} ${lost.map(({ cell, value }) => `${cell}:${value}`).join()}`;
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    const id = this.#all.push({ vcpu: window.vcpu, lost }) - 1;
    this.#ids.set(key, id);
    return id;
  }
}
