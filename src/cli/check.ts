import { mostTelling, whyText } from '../checker/explain.ts';
import { DEFAULT_BOUNDS } from '../checker/explore.ts';
import { FORMATS } from '../checker/export/written.ts';
import { matrix } from '../checker/matrix.ts';
import { mutantsIn } from '../checker/mutations/mutations.ts';
import { ALWAYS, SOMETIMES } from '../checker/properties.ts';
import { REDUCTION_NAMES } from '../checker/reductions.ts';
import { parseReplay } from '../checker/replay-string.ts';
import { type Configuration, MEMORIES, scenarioOf } from '../checker/scenarios.ts';
import { perform } from '../checker/trace.ts';
import { READERS, type ReaderName } from '../guest/readers.ts';
import { type TimedVerdict, verdictShape } from '../report/check.ts';
import { type CheckJob, peakBytes, runCheck, runChecks } from '../report/check-run.ts';
import { matrixText, peakText, verdictText } from '../report/check-text.ts';
import { toJson } from '../report/json.ts';
import { grouped, type Output, progressOn } from '../report/text.ts';
import { traceText } from '../report/trace-text.ts';
import { exportCheck, formatAsked } from './check-export.ts';
import { tryMutations } from './check-mutations.ts';
import { configurationOf, DIMENSIONS, refuseIdle, unreducedOf } from './check-options.ts';
import { defineCommand, EXIT_OK, type Io, UsageError } from './command.ts';
import { parseArgument, parseName, parseWithin } from './values.ts';

const EXIT_VIOLATED = 1;
const EXIT_CUT_OFF = 3;

const ALWAYS_NAMES = ALWAYS.map(({ name }) => name);
const SOMETIMES_NAMES = SOMETIMES.map(({ name }) => name);
const PROPERTIES = ALWAYS.map(({ name, says }) => `  ${name.padEnd(12)} ${says}`).join('\n');

export const command = defineCommand({
  usage: 'check [READER] [--host NAME] [--memory NAME] [--property NAME] [--all] [--json]',
  details: `Explores every interleaving of a shipped reader (${Object.keys(READERS).join(', ')}; landed where none is
named) with the shipped hypervisor, and says of each property whether it holds:
${PROPERTIES}
Prints the shortest trace to a violation: numbered steps in the threads' own words, and a replay string
for kvmclock replay. A search that reaches a bound is cut off, says so, and is no pass.

Exit status: 0 all hold, 1 one is violated, 2 bad arguments, 3 cut off before any was.`,
  options: {
    ...DIMENSIONS,
    property: {
      type: 'string',
      value: 'NAME',
      values: ALWAYS_NAMES,
      help: 'trace this property, where more than one is violated',
    },
    witness: {
      type: 'string',
      value: 'NAME',
      values: SOMETIMES_NAMES,
      help: `trace a run in which this happens: ${SOMETIMES_NAMES.join(', ')}`,
    },
    why: { type: 'boolean', help: 'say what the last call is held against, with its values' },
    operations: { type: 'boolean', help: 'show every operation, also those that no other thread can see' },
    all: { type: 'boolean', help: 'all readers, hosts, writers and updates: the matrix (--memory both: sc and tso)' },
    mutations: { type: 'boolean', help: 'leave out or move each step, of all or of READER: which verdicts flip' },
    unreduced: {
      type: 'string',
      value: 'NAMES',
      values: [...REDUCTION_NAMES, 'all'],
      help: `do without a reduction of the search: ${REDUCTION_NAMES.join(', ')}, all`,
    },
    export: {
      type: 'string',
      value: 'FORMAT',
      values: FORMATS,
      help: `write it for another checker: ${FORMATS.join(' (Spin), ')} (TLC); exit status 0`,
    },
    out: { type: 'string', value: 'FILE', help: 'into this file, and not to stdout' },
    'max-states': {
      type: 'string',
      value: 'N',
      default: String(DEFAULT_BOUNDS.states),
      help: `cut off after N states (${grouped(DEFAULT_BOUNDS.states)})`,
    },
    'max-memory': {
      type: 'string',
      value: 'MIB',
      default: '2048',
      help: 'cut off where the states take more (2048 MiB)',
    },
  },
  maxPositionals: 1,
  async run({ values, positionals, json }, io) {
    const bounds = {
      states: parseWithin('--max-states', values['max-states'], 1, 100_000_000),
      bytes: parseWithin('--max-memory', values['max-memory'], 1, 8192) * 2 ** 20,
    };
    const format = formatAsked(values);
    const unreduced = unreducedOf(values.unreduced);
    if (values.mutation !== undefined && (values.all || values.mutations))
      throw new UsageError('--mutation is explored in one configuration; leave --all and --mutations out');
    refuseIdle(values, command.options);
    if (values.mutations) return await tryMutations(positionals[0], json, io);
    if (values.all) return await runMatrix(positionals[0], values.memory, { bounds, unreduced }, json, io);
    const configuration = configurationOf(positionals[0], values);
    const wanted = values.witness ?? values.property;
    if (values.witness !== undefined) parseName('--witness', values.witness, SOMETIMES_NAMES);
    if (values.property !== undefined) parseName('--property', values.property, ALWAYS_NAMES);
    const progress = progressOn(io.stderr);
    const onProgress = (states: number, expanded: number) => {
      progress.show(`${grouped(states)} states found, ${grouped(expanded)} explored`);
    };
    if (format !== undefined) {
      exportCheck(configuration, format, values.out, { bounds, onProgress }, { json, progress, io });
      return EXIT_OK;
    }
    const verdict = runCheck({ configuration, bounds, unreduced }, onProgress);
    progress.clear();
    if (json) io.stdout.write(toJson({ verdicts: [verdictShape(verdict)], peakBytes: peakBytes() }));
    else {
      io.stdout.write(verdictText(verdict, peakBytes(), io.stdout));
      io.stdout.write(
        traceOf(verdict, wanted, { why: values.why ?? false, all: values.operations ?? false }, io.stdout),
      );
    }
    return statusOf([verdict]);
  },
});

async function runMatrix(
  reader: string | undefined,
  memory: string,
  options: Omit<CheckJob, 'configuration'>,
  json: boolean,
  io: Io,
): Promise<number> {
  const only = reader === undefined ? undefined : parseArgument('reader', reader, Object.keys(READERS) as ReaderName[]);
  const memories = memory === 'both' ? MEMORIES : [parseName('--memory', memory, MEMORIES)];
  const configurations = matrix(memories, only);
  const progress = progressOn(io.stderr);
  const start = performance.now();
  const jobs = configurations.map((configuration) => ({ configuration, ...options }));
  const verdicts = await runChecks(jobs, (done) => progress.show(`${done} of ${jobs.length} configurations`));
  const seconds = (performance.now() - start) / 1000;
  progress.clear();
  if (json) io.stdout.write(toJson({ verdicts: verdicts.map(verdictShape), seconds, peakBytes: peakBytes() }));
  else io.stdout.write(`${matrixText(verdicts, io.stdout)}${seconds.toFixed(1)} s in all; ${peakText(peakBytes())}\n`);
  return statusOf(verdicts);
}

/** The trace that was asked for; else, where something is violated, of the race if it is one, or the shortest. */
function traceOf(
  { configuration, violated, witnessed }: TimedVerdict,
  wanted: string | undefined,
  { why, all }: { readonly why: boolean; readonly all: boolean },
  output: Output,
): string {
  const finding =
    wanted === undefined
      ? mostTelling(violated)
      : [...violated, ...witnessed].find(({ property }) => property === wanted);
  if (finding === undefined) return wanted === undefined ? '' : `\n${wanted}: no run shows it\n`;
  const steps = stepsOf(configuration, finding.replay);
  const reason = why ? `${whyText(finding.property, steps.at(-1)!)}\n` : '';
  const heading = `\n${finding.property}, in ${finding.steps} steps:\n`;
  return `${heading}${traceText(steps, { all }, output)}${reason}\nkvmclock replay '${finding.replay}'\n`;
}

function stepsOf(configuration: Configuration, replay: string) {
  return perform(scenarioOf(configuration, mutantsIn(configuration)), parseReplay(replay).schedule);
}

function statusOf(verdicts: readonly TimedVerdict[]): number {
  if (verdicts.some(({ violated }) => violated.length > 0)) return EXIT_VIOLATED;
  return verdicts.every(({ complete }) => complete) ? EXIT_OK : EXIT_CUT_OFF;
}
