/** The host's costs for people. */
import { formatNs } from '../../scale/duration.ts';
import type { Spread } from '../statistics.ts';
import { type Output, styled, table } from '../text.ts';
import type { HostCosts } from './costs.ts';

export function hostText({ wrmsr, update }: HostCosts, clock: string, output: Output): string {
  const heading = ['what it costs the host', 'median', 'min', 'max'].map((cell) => styled(output, 'bold', cell));
  const row = (what: string, { median, min, max }: Spread): string[] => [
    `  ${what}`,
    ...[median, min, max].map((ns) => formatNs(ns)),
  ];
  const of = `an update of ${update.vcpus} vCPUs by ${clock}`;
  const rows = [
    heading,
    row('a WRMSR of the clock, by KVM', wrmsr.byKvmNs),
    row('the same handed to user space', wrmsr.byUsNs),
    row(`${of}, all out of the guest`, update.vcpusOutNs),
    row(`${of}, all in endless loops`, update.vcpusInNs),
  ];
  return table(rows, ['left', 'right', 'right', 'right']);
}
