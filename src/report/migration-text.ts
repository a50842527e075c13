/** The migrations for people. */
import { formatNs } from '../scale/duration.ts';
import { type Apart, AWAY_NS, GAP_NS, type GuestRate, type MigrationErrors } from './migration.ts';
import { grouped, type Output, styled, table } from './text.ts';

const MOVES: Readonly<Record<GuestRate, string>> = { 'of-the-host': 'its first', 'of-another': 'a later one' };

/** One row a way and guest's rate. */
export function migrationText(errors: readonly MigrationErrors[], output: Output): string {
  const heading = ['clock', 'moved by', "the VM's move", 'off at once', 'off a day later'];
  const rows = errors.map(({ flavour, way, guestRate, atOnce, aDayLater }) => {
    return [flavour, way, MOVES[guestRate], range(atOnce), range(aDayLater)];
  });
  const title = [
    `${grouped(errors[0]!.migrations)} VMs moved between hosts of random TSC rates (0.5 to 5 GHz): each clock against the one left behind, where the`,
    `guest reads the same TSC; on the way for up to ${formatNs(AWAY_NS)}, the VMM's calls up to ${formatNs(GAP_NS)} apart`,
  ];
  const cells = [heading.map((cell) => styled(output, 'bold', cell)), ...rows];
  return `${title.join('\n')}\n${table(cells, ['left', 'left', 'left', 'right', 'right'])}`;
}

function range({ leastNs, mostNs }: Apart): string {
  return `${grouped(leastNs)} to ${grouped(mostNs)} ns`;
}
