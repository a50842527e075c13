/**
 * The clock of a simulated VM under stress: its host updates as fast as its guest can still get on, while every vCPU reads. What
 * each count means stands with the loop that counts, in machine/simulated/reading.ts.
 */
import { FLAVOURS, type Flavour } from '../hypervisor/flavours.ts';
import type { Base, FlavourName, Freeze, Writer } from '../hypervisor/policy.ts';
import { type ReaderSource, readerName } from '../machine/simulated/readers.ts';
import { type ReadingCounts, totalOf } from '../machine/simulated/reading.ts';
import { SimulatedMachine } from '../machine/simulated/simulated.ts';
import type { UpdateKind } from '../machine/simulated/updates.ts';

export interface StressOptions {
  readonly flavour: FlavourName;
  /** In place of the flavour's own: when the freeze is lifted, how a record is written, where a refreshed line begins. */
  readonly host?: Freeze | undefined;
  readonly writer?: Writer | undefined;
  readonly base?: Base | undefined;
  readonly update: UpdateKind;
  readonly vcpus: number;
  /** Each vCPU calls them in turns. */
  readonly readers: readonly ReaderSource[];
  readonly seconds: number;
  /** End as soon as so many updates were made. */
  readonly mostUpdates?: number;
}

/** Counts over all readers and vCPUs, and reader by reader. */
export interface StressReport extends ReadingCounts {
  readonly flavour: FlavourName;
  readonly host: Freeze;
  readonly writer: Writer;
  readonly base: Base;
  readonly update: UpdateKind;
  readonly vcpus: number;
  readonly seconds: number;
  readonly updates: number;
  readonly readers: readonly (ReadingCounts & { readonly name: string })[];
}

export async function stress(options: StressOptions): Promise<StressReport> {
  const { update, vcpus, readers, seconds, mostUpdates } = options;
  const flavour = flavourOf(options);
  await using machine = await SimulatedMachine.start({ vcpus, flavour });
  const order = { readers, update, seconds, ...(mostUpdates === undefined ? {} : { mostUpdates }) };
  const counts = await machine.stress(order);
  const byReader = counts.readers.map((reader, index) => ({ name: readerName(readers[index]!), ...reader }));
  const { freeze: host, writer, base } = flavour.policy;
  const setting = { flavour: options.flavour, host, writer, base, update, vcpus };
  return { ...setting, seconds: counts.seconds, updates: counts.updates, ...totalOf(byReader), readers: byReader };
}

/** True where no reading was torn, by a line that its vCPU had left, or behind another. */
export function isWhole({ torn, stale, warps }: ReadingCounts): boolean {
  return torn === 0 && stale === 0 && warps === 0;
}

function flavourOf({ flavour, host, writer, base }: StressOptions): Flavour {
  const chosen: Flavour = FLAVOURS[flavour];
  const { policy } = chosen;
  return {
    ...chosen,
    policy: { ...policy, freeze: host ?? policy.freeze, writer: writer ?? policy.writer, base: base ?? policy.base },
  };
}
