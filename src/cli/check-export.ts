/** `kvmclock check --export`: a configuration written down for another checker. */
import path from 'node:path';
import type { ExploreOptions } from '../checker/explore.ts';
import { type Export, FORMATS, type Format, written } from '../checker/export/written.ts';
import { mutantsIn } from '../checker/mutations/mutations.ts';
import { type Configuration, scenarioOf } from '../checker/scenarios.ts';
import { toJson } from '../report/json.ts';
import type { Progress } from '../report/text.ts';
import { type Io, UsageError } from './command.ts';
import { quoted } from './dispatch.ts';
import { parseName } from './values.ts';
import { writeWhole } from './write-whole.ts';

/** What a TLA+ module may be called. */
const MODULE = /^(?!WF_|SF_)[A-Za-z0-9_]*[A-Za-z][A-Za-z0-9_]*$/;

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
  const { complete, files } = writtenOrWhy(configuration, format, name, options);
  progress.clear();
  if (!complete)
    io.stderr.write('exported from a search that was cut off: see known_answer (KnownAnswer) in the text\n');
  const { stdout } = io;
  const folder = out === undefined ? undefined : path.dirname(out);
  if (folder !== undefined) for (const file of files) writeWhole('--out', path.join(folder, file.name), file.text);
  if (json) stdout.write(toJson({ export: { format, complete, files } }));
  else if (folder === undefined) stdout.write(files.map(({ text }) => text).join(''));
  else for (const file of files) stdout.write(`${path.join(folder, file.name)}\n`);
}

function writtenOrWhy(configuration: Configuration, format: Format, name: string, options: ExploreOptions): Export {
  const scenario = scenarioOf(configuration, mutantsIn(configuration));
  try {
    return written(scenario, configuration, format, name, options);
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(`--export: ${error.message}`);
    throw error;
  }
}

/** The file's name; of TLA+ the module's, which is the file's too. */
function moduleName(format: Format, out: string | undefined): string {
  if (format === 'promela') return out === undefined ? 'kvmclock.pml' : path.basename(out);
  if (out === undefined) return 'Kvmclock';
  const name = path.basename(out, '.tla');
  if (MODULE.test(name)) return name;
  throw new UsageError(`--out: a TLA+ module is called as its file is, and ${quoted(name)} is no name; try Race.tla`);
}
