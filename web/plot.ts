/** Plots by uPlot, in the page's colours, as wide as what they stand in. */
import type UPlot from 'uplot';

/** index.html loads it before this. */
declare const uPlot: typeof UPlot;

export type Plot = UPlot;
export type PlotOptions = Omit<UPlot.Options, 'width' | 'height'>;
export type PlotData = UPlot.AlignedData;
export type PlotAxis = UPlot.Axis;

const HEIGHT_PX = 240;

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
    ...options,
  };
}

/** Draws into `target` for as long as the page lives. */
export function plotIn(target: HTMLElement, options: PlotOptions, data: PlotData): Plot {
  const size = () => ({ width: target.clientWidth, height: HEIGHT_PX });
  const plot = new uPlot({ ...options, ...size() }, data, target);
  new ResizeObserver(() => {
    if (target.clientWidth > 0 && target.clientWidth !== plot.width) plot.setSize(size());
  }).observe(target);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => plot.redraw());
  return plot;
}

export const barPaths = (): UPlot.Series.PathBuilder => uPlot.paths.bars!({ size: [0.9, 40] });
