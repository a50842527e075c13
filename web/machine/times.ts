/** How long single readings took, as a histogram: bins and counts both double from mark to mark, so the rare long ones show. */
import type { ReadTimes } from '../../src/guest/observed.ts';
import { formatNs } from '../../src/scale/duration.ts';
import { byId, setText } from '../dom.ts';
import { axis, barPaths, colour, markNs, type Plot, plotIn } from '../plot.ts';

/** Below one reading: where bars stand on. */
const GROUND = 0.5;
/** What the label of a mark takes, at least. */
const MARK_PX = 75;

export function timesPlot(): (times: ReadTimes) => void {
  const text = byId('times-text');
  let bins: readonly number[] = [];
  let plot: Plot | undefined;
  const draw = (): Plot =>
    plotIn(
      byId('times-plot'),
      {
        legend: { show: false },
        cursor: { show: false },
        scales: {
          x: { time: false, range: () => [-1, Math.max(1, bins.length)] },
          y: { distr: 3, log: 10, range: (_, __, most) => [GROUND, Math.max(10, most * 2)] },
        },
        axes: [
          axis({
            splits: (self) => marks(bins, self.width / MARK_PX),
            values: (_, at) => at.map((place) => markNs(timeAt(bins, place))),
            label: 'time that one took',
            grid: { show: false },
          }),
          axis({
            size: 60,
            label: 'readings',
            splits: (_, __, ___, most) => powersOfTen(most),
            values: (_, at: readonly (number | null)[]) => at.map((count) => count?.toLocaleString() ?? ''),
          }),
        ],
        series: [
          {},
          {
            paths: barPaths(),
            fill: () => colour('bar'),
            stroke: () => colour('bar'),
            fillTo: () => GROUND,
            points: { show: false },
          },
        ],
      },
      [[], []],
    );
  return ({ fromNs, counts }) => {
    bins = fromNs;
    plot ??= draw();
    plot.setData([fromNs.map((_, bin) => bin), counts.map((count) => (count === 0 ? null : count))]);
    setText(text, inWords(fromNs, counts));
  };
}

/** Places on the axis of bins for 10, 20, 50, 100 ... ns: `most` of them or so, evenly apart. */
export function marks(bins: readonly number[], most: number): number[] {
  const marked: number[] = [];
  for (const power of powersOfTen(bins.at(-1) ?? 0)) {
    for (const ns of [power, 2 * power, 5 * power]) {
      const bin = bins.findLastIndex((from) => from <= ns);
      const next = bins[bin + 1];
      if (bin < 0 || next === undefined || bin - (marked.at(-1) ?? -bins.length) < bins.length / most) continue;
      marked.push(bin + (ns - bins[bin]!) / (next - bins[bin]!));
    }
  }
  return marked;
}

/** The time at a place on the axis of bins, in whole ns. */
export function timeAt(bins: readonly number[], place: number): number {
  const bin = Math.floor(place);
  const from = bins[bin] ?? 0;
  return Math.round(from + (place - bin) * ((bins[bin + 1] ?? from) - from));
}

function powersOfTen(most: number): number[] {
  return Array.from({ length: Math.floor(Math.log10(Math.max(1, most))) + 1 }, (_, power) => 10 ** power);
}

export function inWords(fromNs: readonly number[], counts: readonly number[]): string {
  const all = counts.reduce((sum, count) => sum + count, 0);
  const below = (share: number): string => {
    let sum = 0;
    const bin = counts.findIndex((count) => {
      sum += count;
      return sum >= share * all;
    });
    return formatNs(fromNs[bin + 1] ?? Number.POSITIVE_INFINITY);
  };
  return `${all.toLocaleString()} readings from JavaScript, one right after the other: half took less than ${below(0.5)}, 99 % less than ${below(0.99)}, 99.9 % less than ${below(0.999)}.`;
}
