/** The cost of publishing for people. */
import { formatNs } from '../scale/duration.ts';
import type { PublishCost } from './publish-cost.ts';
import { grouped, type Output, styled, table } from './text.ts';

export function publishCostText(cost: PublishCost, output: Output): string {
  const heading = ['vCPUs', 'held out for', 'until every record is new', 'a vCPU'];
  const rows = cost.updates.map(({ vcpus, updateNs, allRecordsNs, nsPerVcpu }) => [
    grouped(vcpus),
    formatNs(updateNs.median),
    formatNs(allRecordsNs.median),
    formatNs(nsPerVcpu),
  ]);
  const bold = heading.map((cell) => styled(output, 'bold', cell));
  return [
    `publish one record from TypeScript: ${formatNs(cost.publishNs.median)}\n`,
    table([bold, ...rows], ['right', 'right', 'right', 'right']),
  ].join('');
}
