import { configurationText, whyText } from '../checker/explain.ts';
import { mutantsIn } from '../checker/mutations/mutations.ts';
import { parseReplay, type Replay } from '../checker/replay-string.ts';
import { scenarioOf } from '../checker/scenarios.ts';
import { perform, type Step } from '../checker/trace.ts';
import type { Kvm } from '../machine/kvm/kvm.ts';
import { isUnavailable } from '../machine/sys.ts';
import { configurationShape } from '../report/check.ts';
import { toJson } from '../report/json.ts';
import { styled } from '../report/text.ts';
import { stepShape, traceText } from '../report/trace-text.ts';
import { replayOnKvm } from '../report/vm/replay.ts';
import { realReplayText } from '../report/vm/replay-text.ts';
import { defineCommand, EXIT_OK, EXIT_USAGE, type Io, UsageError } from './command.ts';
import { quoted } from './dispatch.ts';
import { parseName } from './values.ts';
import { withKvm } from './vm-host.ts';

const EXIT_OTHERWISE = 1;

export const command = defineCommand({
  usage: 'replay STRING [--machine model|kvm] [--operations] [--json]',
  details: `Steps an execution that kvmclock check has found: numbered steps in the threads' own words, both records
where they change, and at the end what the last call returned and what that is held against.
With --machine kvm it is performed on real vCPUs: the update and the vCPUs' entries each whole, the reader's
machine code access by access, on the vCPU where the model has it; by the real KVM under host kvm and
writer today, by this package's hypervisor under any other. What a call returns is held against the model.

Exit status: 0 the execution was stepped to its end, or the real machine did the same; 1 it did
otherwise; 2 it is no replay string, it cannot be stepped, or real vCPUs cannot follow it.`,
  options: {
    machine: { type: 'string', value: 'model|kvm', default: 'model', help: 'model (the default), or kvm: real vCPUs' },
    operations: { type: 'boolean', help: 'show every operation, also those that no other thread can see' },
  },
  maxPositionals: 1,
  async run({ values, positionals, json }, io) {
    const text = positionals[0];
    if (text === undefined) throw new UsageError('which execution? give the replay string that kvmclock check prints');
    const { replay, steps } = stepped(text);
    const machine = parseName('--machine', values.machine, ['model', 'kvm']);
    const { mutation } = replay.configuration;
    if (machine === 'kvm' && mutation !== undefined)
      throw new UsageError(`--machine kvm runs what is shipped, not ${mutation}; leave it out to step the model`);
    if (machine === 'kvm') return await withKvm(io, json, (kvm) => performed(kvm, replay, steps, io, json));
    const shown = steps.flatMap(({ found }) => found);
    if (json) {
      io.stdout.write(toJson({ ...configurationShape(replay.configuration), shown, steps: steps.map(stepShape) }));
      return EXIT_OK;
    }
    const last = steps.at(-1);
    const why = last === undefined ? [] : last.found.map((name) => `${name}: ${whyText(name, last)}\n`);
    io.stdout.write(`${styled(io.stdout, 'bold', configurationText(replay))}\n\n`);
    io.stdout.write(traceText(steps, { all: values.operations ?? false }, io.stdout) + [...new Set(why)].join(''));
    return EXIT_OK;
  },
});

async function performed(kvm: Kvm, replay: Replay, steps: readonly Step[], io: Io, json: boolean): Promise<number> {
  const { configuration } = replay;
  const real = await replayOnKvm(kvm, configuration, steps);
  if (isUnavailable(real)) {
    const why = `real vCPUs cannot follow it: ${real.unavailable}`;
    io.stdout.write(json ? toJson({ ...configurationShape(configuration), machine: 'kvm', why }) : `${why}\n`);
    return EXIT_USAGE;
  }
  if (json) io.stdout.write(toJson({ ...configurationShape(configuration), machine: 'kvm', ...real }));
  else io.stdout.write(`${styled(io.stdout, 'bold', configurationText(replay))}\n\n${realReplayText(real, io.stdout)}`);
  return real.same ? EXIT_OK : EXIT_OTHERWISE;
}

function stepped(text: string): { readonly replay: Replay; readonly steps: readonly Step[] } {
  try {
    const replay = parseReplay(text);
    return {
      replay,
      steps: perform(scenarioOf(replay.configuration, mutantsIn(replay.configuration)), replay.schedule),
    };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const hint = 'give the string that kvmclock check prints, in quotes';
    throw new UsageError(`cannot replay ${quoted(text)}: ${error.message}; ${hint}`);
  }
}
