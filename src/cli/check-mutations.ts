/** `kvmclock check --mutations`: every step left out or moved, one at a time; and `--mutation`: one of them. */
import { PARTS } from '../checker/mutations/mutation.ts';
import { MUTATIONS } from '../checker/mutations/mutations.ts';
import { READERS } from '../guest/readers.ts';
import { runMutations } from '../report/check-run.ts';
import { toJson } from '../report/json.ts';
import { mutationShape, mutationsText } from '../report/mutation-text.ts';
import { progressOn } from '../report/text.ts';
import { EXIT_OK, type Io, UsageError } from './command.ts';
import { parseArgument } from './values.ts';

/** `part`: those of one reader, or of one part of the hypervisor; all where left out. */
export async function tryMutations(part: string | undefined, json: boolean, io: Io): Promise<number> {
  const only = part === undefined ? undefined : parseArgument('part', part, PARTS);
  const progress = progressOn(io.stderr);
  const mutations = await runMutations(only, (done, all) => progress.show(`${done} of ${all} mutations`));
  progress.clear();
  io.stdout.write(json ? toJson({ mutations: mutations.map(mutationShape) }) : mutationsText(mutations, io.stdout));
  return EXIT_OK;
}

/** The reader that goes with a mutation and with what was asked for. */
export function readerFor(mutation: string | undefined, reader: string | undefined): string {
  if (mutation === undefined) return reader ?? 'landed';
  const known = MUTATIONS.find(({ name }) => name === mutation);
  if (known === undefined) {
    const hint = 'kvmclock check --mutations names them, kvmclock check landed --mutations those of landed';
    throw new UsageError(`--mutation: none is called ${JSON.stringify(mutation)}; ${hint}`);
  }
  const { part, configurations } = known;
  if (reader !== undefined && part in READERS && reader !== part) {
    throw new UsageError(`--mutation ${mutation} is a step of ${part}, not of ${reader}`);
  }
  return reader ?? configurations[0]!.reader;
}
