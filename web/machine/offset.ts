/** The clock's offset from a clock of the kernel over time, from where it stood at first; changes of the record as marks. */
import type { Sample, SampleColumns, SeenChange } from '../../src/guest/observed.ts';
import { formatAge, formatNs } from '../../src/scale/duration.ts';
import { byId, setText } from '../dom.ts';
import { axis, colour, markNs, type Plot, plotIn } from '../plot.ts';
import { timeOfDay } from './time-of-day.ts';

type Against = 'rawNs' | 'monotonicNs';

/** Two samples a second: an hour. */
const MOST_SAMPLES = 7200;
/** From mark to mark of the time line. */
const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800];

export class OffsetPlot {
  readonly #against = byId<HTMLSelectElement>('offset-against');
  readonly #span = byId<HTMLSelectElement>('offset-span');
  readonly #hold = byId<HTMLButtonElement>('offset-hold');
  readonly #text = byId('offset-text');
  readonly #plot: Plot;
  #samples: Pick<Sample, 'atMs' | Against>[] = [];
  #changes: readonly SeenChange[] = [];
  #uncertaintyNs = 0;

  constructor() {
    const showNs = (_: unknown, values: number[]) => values.map(markNs);
    this.#plot = plotIn(
      byId('offset-plot'),
      {
        legend: { show: false },
        cursor: { y: false },
        axes: [
          axis({ space: 80, incrs: STEPS_S, values: timesOfDay }),
          axis({ size: 70, values: showNs, label: 'gained since the left edge' }),
        ],
        series: [{}, { stroke: () => colour('accent'), width: 2, points: { show: false } }],
        hooks: { draw: [(plot) => this.#drawChanges(plot)] },
      },
      [[], []],
    );
    for (const control of [this.#against, this.#span]) control.addEventListener('change', () => this.#draw());
    this.#hold.addEventListener('click', () => {
      const held = this.#hold.getAttribute('aria-pressed') === 'true';
      this.#hold.setAttribute('aria-pressed', String(!held));
      this.#draw();
    });
  }

  begin({ atMs, rawNs, monotonicNs }: SampleColumns): void {
    this.#samples = atMs.map((at, i) => ({ atMs: at, rawNs: rawNs[i]!, monotonicNs: monotonicNs[i]! }));
    this.#draw();
  }

  add(sample: Sample): void {
    this.#samples.push(sample);
    if (this.#samples.length > MOST_SAMPLES) this.#samples.shift();
    this.#uncertaintyNs = sample.uncertaintyNs;
    this.#draw();
  }

  mark(changes: readonly SeenChange[]): void {
    this.#changes = changes;
  }

  #draw(): void {
    if (this.#hold.getAttribute('aria-pressed') === 'true') return;
    const last = this.#samples.at(-1);
    if (last === undefined) return;
    const from = last.atMs - Number(this.#span.value) * 1000;
    const shown = this.#samples.filter(({ atMs }) => atMs >= from);
    const first = shown[0]!;
    const against = this.#against.value as Against;
    const gained = (sample: Pick<Sample, Against>) => sample[against] - first[against];
    this.#plot.setData([shown.map(({ atMs }) => atMs / 1000), shown.map(gained)]);
    const set = this.#changes.findLast(isSetting)?.atMs ?? 0;
    const base = shown.find(({ atMs }) => atMs >= set) ?? last; // across a setting a difference says nothing of the rate
    const ms = last.atMs - base.atMs; // ns in a ms are parts per million
    const when = base === first ? '' : ' since it was set';
    const rate = ms === 0 ? '' : `, ${((last[against] - base[against]) / ms).toFixed(3)} ppm${when}`;
    const over = `${signed(gained(last))} over ${formatAge((last.atMs - first.atMs) * 1e6)}${rate}`;
    setText(
      this.#text,
      `${over}, each point to within ${formatNs(this.#uncertaintyNs)}. Now ${formatNs(last[against])} apart in all.`,
    );
  }

  /** A line for each moment at which something changed, and what it was where there is room to say so. */
  #drawChanges(plot: Plot): void {
    const { ctx, bbox } = plot;
    const px = devicePixelRatio;
    const kinds = Map.groupBy(this.#changes, ({ atMs }) => atMs);
    let free = Number.NEGATIVE_INFINITY; // where the last label ends
    ctx.save();
    ctx.strokeStyle = colour('mark');
    ctx.fillStyle = colour('mark');
    ctx.font = `${12 * px}px system-ui, sans-serif`;
    ctx.textAlign = 'left';
    for (const [atMs, changes] of kinds) {
      const x = plot.valToPos(atMs / 1000, 'x', true);
      if (!(x >= bbox.left && x <= bbox.left + bbox.width)) continue;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      const label = [...new Set(changes.map(({ kind }) => kind))].join(', ');
      const width = ctx.measureText(label).width + 8 * px;
      const left = x + width > bbox.left + bbox.width ? x - width : x; // beside the line, within the plot
      if (left < free) continue;
      ctx.fillText(label, left + 4 * px, bbox.top + 14 * px);
      free = left + width;
    }
    ctx.restore();
  }
}

/** Of record 0, as that is what the clock is read by. */
function isSetting({ vcpu, kind }: SeenChange): boolean {
  return vcpu === 0 && (kind === 'restore' || kind === 'migration');
}

function timesOfDay(_: unknown, seconds: readonly number[]): string[] {
  return seconds.map((at) => timeOfDay(at * 1000));
}

function signed(ns: number): string {
  return `${ns > 0 ? '+' : ''}${formatNs(ns)}`;
}
