/** Plots by uPlot, in the page's colours, as large as what they stand in. */
import type UPlot from 'uplot';
import { formatNs } from '../src/scale/duration.ts';

/** index.html loads it before this. */
declare const uPlot: typeof UPlot;

export type Plot = UPlot;
export type PlotOptions = Omit<UPlot.Options, 'width' | 'height'>;
export type PlotData = UPlot.AlignedData;
export type PlotAxis = UPlot.Axis;

/** A colour of the page's palette, as it is now: the palette follows the system's. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** An axis in the page's colours. */
export function axis(options: PlotAxis): PlotAxis {
  const line = () => colour('line');
  return {
    stroke: () => colour('quiet'),
    grid: { stroke: line, width: 1 },
    ticks: { stroke: line, width: 1 },
    labelSize: 20,
    labelFont: '12px system-ui, sans-serif',
    ...options,
  };
}

/** A time at a mark of an axis: `20 ns`, `-2.5 us`, with no digit that says nothing. */
export function markNs(ns: number): string {
  return formatNs(ns)
    .replace(/\.0+ /, ' ')
    .replace(/(\.\d*[1-9])0+ /, '$1 ');
}

/** Draws into `target`, as large as that is, for as long as the page lives. */
export function plotIn(target: HTMLElement, options: PlotOptions, data: PlotData): Plot {
  const size = () => ({ width: target.clientWidth, height: target.clientHeight });
  const plot = new uPlot({ ...options, ...size() }, data, target);
  new ResizeObserver(() => {
    const { width, height } = size();
    if (width > 0 && (width !== plot.width || height !== plot.height)) plot.setSize({ width, height });
  }).observe(target);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => plot.redraw());
  return plot;
}

export const barPaths = (): UPlot.Series.PathBuilder => uPlot.paths.bars!({ size: [0.9, 40] });
