/**
 * What a state consists of, as numbered fields:
 *
 *   every shared cell                 the number of its value
 *   every thread                      its node in the trie of histories
 *   every vCPU                        what its own record told it when it entered the guest
 *   every guest thread                calls done; of the call in progress: what its vCPU had been told, and the latest time
 *                                     returned, when it began; the cells that are its own
 *                                     its window of early loads
 *   every store buffer                the number of its contents
 *   the latest time returned, ticks, and which of the things done once are done
 */
import type { Cells } from './cells.ts';
import { Fields } from './fields.ts';
import type { Scenario } from './scenario.ts';

export class Layout {
  readonly fields: number;
  /** By cell; -1 - k where it is the k-th of the cells that every guest thread has of its own. */
  readonly cell: readonly number[];
  /** By thread: hosts, then others, then guests. */
  readonly node: readonly number[];
  readonly told: readonly number[];
  readonly calls: readonly number[];
  readonly floorStamp: readonly number[];
  readonly floorTime: readonly number[];
  /** By guest: the first of its own cells. */
  readonly own: readonly number[];
  /** By guest: what its loads may still get that is no longer in memory. */
  readonly window: readonly number[];
  /** By processor: hosts, then others. */
  readonly buffer: readonly number[];
  readonly latest: number;
  readonly tick: number;
  readonly once: readonly number[];
  readonly #widths: number[];

  constructor(scenario: Scenario, cells: Cells) {
    let fields = 0;
    const widths: number[] = [];
    const field = (width: number): number => {
      widths.push(width);
      return fields++;
    };
    const { hosts, others, guests, once } = scenario;
    let own = 0;
    this.cell = cells.specs.map((spec) => (spec.perThread ? -1 - own++ : field(0)));
    this.node = [...hosts, ...others, ...guests].map(() => field(FIRST_NODE_BITS));
    this.told = hosts.map(() => field(1));
    this.calls = guests.map(() => field(1));
    this.floorStamp = guests.map(() => field(0));
    this.floorTime = guests.map(() => field(0));
    this.own = guests.map(() => {
      const first = fields;
      for (let count = 0; count < own; count++) field(1);
      return first;
    });
    this.window = guests.map(() => field(0));
    this.buffer = [...hosts, ...others].map(() => field(scenario.memory === 'tso' ? FIRST_BUFFER_BITS : 0));
    this.latest = field(0);
    this.tick = field(0);
    this.once = once.map(() => field(1));
    this.fields = fields;
    this.#widths = widths;
  }

  /** The packing as it stands, in `least` words or more. */
  packed(least = 1): Fields {
    return new Fields(this.#widths, least);
  }

  /** `bits` more for a field that a value did not fit in. */
  widen(field: number, bits: number): void {
    this.#widths[field]! += bits;
  }
}

const FIRST_NODE_BITS = 8;
const FIRST_BUFFER_BITS = 6;
