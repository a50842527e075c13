/** `kvmclock check --export`: a configuration written down for another checker. */
import path from 'node:path';
import { configurationText } from '../checker/explain.ts';
import type { ExploreOptions } from '../checker/explore.ts';
import type { Automata } from '../checker/export/automata.ts';
import { gather } from '../checker/export/gather.ts';
import { type Model, modelOf } from '../checker/export/model.ts';
import { promelaText } from '../checker/export/promela.ts';
import { tlaConfiguration, tlaText } from '../checker/export/tla.ts';
import { mutantsIn } from '../checker/mutations/mutations.ts';
import type { Scenario } from '../checker/scenario.ts';
import { type Configuration, scenarioOf } from '../checker/scenarios.ts';
import { toJson } from '../report/json.ts';
import type { Progress } from '../report/text.ts';
import { type Io, UsageError } from './command.ts';
import { quoted } from './dispatch.ts';
import { parseName } from './values.ts';
import { writeWhole } from './write-whole.ts';

export const FORMATS = ['promela', 'tla'] as const;
export type Format = (typeof FORMATS)[number];

/** What a TLA+ module may be called. */
const MODULE = /^(?!WF_|SF_)[A-Za-z0-9_]*[A-Za-z][A-Za-z0-9_]*$/;

interface Written {
  readonly name: string;
  readonly text: string;
}

/** The format that was asked for, if any. Throws UsageError where something else was, that does not go with it. */
export function formatAsked(values: {
  readonly export?: string | undefined;
  readonly out?: string | undefined;
  readonly all?: boolean | undefined;
  readonly mutations?: boolean | undefined;
}): Format | undefined {
  if (values.export === undefined) {
    if (values.out !== undefined) throw new UsageError('--out names the file of --export; give that too');
    return undefined;
  }
  if (values.all || values.mutations) {
    throw new UsageError('--export writes one configuration; leave --all and --mutations out');
  }
  return parseName('--export', values.export, FORMATS);
}

/** Writes to `out`, and beside it what belongs to it; or to stdout. */
export function exportCheck(
  configuration: Configuration,
  format: Format,
  out: string | undefined,
  options: ExploreOptions,
  { json, progress, io }: { readonly json: boolean; readonly progress: Progress; readonly io: Io },
): void {
  if (configuration.early !== undefined) {
    throw new UsageError('--export: what is exported does every load in its turn; leave --early out');
  }
  const name = moduleName(format, out);
  const scenario = scenarioOf(configuration, mutantsIn(configuration));
  const { automata, complete } = gather(scenario, options);
  progress.clear();
  if (!complete)
    io.stderr.write('exported from a search that was cut off: see known_answer (KnownAnswer) in the text\n');
  const { stdout } = io;
  const files = filesOf(format, modelOrWhy(scenario, automata), name, configurationText({ configuration }));
  const folder = out === undefined ? undefined : path.dirname(out);
  if (folder !== undefined) for (const file of files) writeWhole('--out', path.join(folder, file.name), file.text);
  if (json) stdout.write(toJson({ export: { format, complete, files } }));
  else if (folder === undefined) stdout.write(files.map(({ text }) => text).join(''));
  else for (const file of files) stdout.write(`${path.join(folder, file.name)}\n`);
}

function modelOrWhy(scenario: Scenario, automata: Automata): Model {
  try {
    return modelOf(scenario, automata);
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(error.message);
    throw error;
  }
}

function filesOf(format: Format, model: Model, name: string, title: string): Written[] {
  if (format === 'promela') return [{ name, text: promelaText(model, title) }];
  return [
    { name: `${name}.tla`, text: tlaText(model, name, title) },
    { name: `${name}.cfg`, text: tlaConfiguration() },
  ];
}

/** The file's name; of TLA+ the module's, which is the file's too. */
function moduleName(format: Format, out: string | undefined): string {
  if (format === 'promela') return out === undefined ? 'kvmclock.pml' : path.basename(out);
  if (out === undefined) return 'Kvmclock';
  const name = path.basename(out, '.tla');
  if (MODULE.test(name)) return name;
  throw new UsageError(`--out: a TLA+ module is called as its file is, and ${quoted(name)} is no name; try Race.tla`);
}
