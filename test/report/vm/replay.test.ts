import assert from 'node:assert/strict';
import test from 'node:test';
import { check } from '../../../src/checker/check.ts';
import { parseReplay } from '../../../src/checker/replay-string.ts';
import { type Configuration, DEFAULT_CONFIGURATION, scenarioOf } from '../../../src/checker/scenarios.ts';
import { perform, type Step } from '../../../src/checker/trace.ts';
import { isUnavailable } from '../../../src/machine/sys.ts';
import { coarseEvents, type RealReplay, replayOnKvm } from '../../../src/report/vm/replay.ts';
import { realReplayText } from '../../../src/report/vm/replay-text.ts';
import { kvmTest, realKvm } from '../../machine/kvm/real-kvm.ts';

/** The checker's shortest trace to `what`, a violated property or a witness. */
function trace(options: Partial<Configuration>, what: string): { configuration: Configuration; steps: Step[] } {
  const configuration = { ...DEFAULT_CONFIGURATION, ...options };
  const { violated, witnessed } = check(configuration);
  const found = [...violated, ...witnessed].find(({ property }) => property === what);
  assert.ok(found !== undefined, `${what} is not found under ${JSON.stringify(options)}`);
  return { configuration, steps: perform(scenarioOf(configuration), parseReplay(found.replay).schedule) };
}

async function real(configuration: Configuration, steps: readonly Step[]): Promise<RealReplay> {
  using kvm = realKvm();
  const replay = await replayOnKvm(kvm, configuration, steps);
  assert.ok(!isUnavailable(replay), isUnavailable(replay) ? replay.unavailable : '');
  return replay;
}

for (const reader of ['rfc', 'landed', 'cached', 'relaxed'] as const) {
  for (const update of ['unstable', 'set-clock'] as const) {
    kvmTest(`replayOnKvm() finds on the real KVM what the checker found: ${reader}, ${update}`, async () => {
      const { configuration, steps } = trace({ reader, update }, 'stale-use');
      const replay = await real(configuration, steps);
      assert.equal(replay.same, true);
      assert.deepEqual([replay.clock, replay.steps.at(-1)!.reading!.stale], ['kvm', true]);
      assert.match(
        realReplayText(replay, { write() {}, isTerminal: false, colour: false }),
        /the real KVM did the same\n$/,
      );
    });
  }
}

kvmTest('replayOnKvm() performs a run in which nothing is wrong, by our hypervisor', async () => {
  const { configuration, steps } = trace({ host: 'record0' }, 'stable');
  const replay = await real(configuration, steps);
  assert.deepEqual([replay.clock, replay.same], ['kvmclock', true]);
  assert.equal(replay.steps.at(-1)!.reading!.stale, false);
});

kvmTest('replayOnKvm() says where the real machine did otherwise: the trace of KVM on our hypervisor', async () => {
  const { configuration, steps } = trace({}, 'stale-use');
  const replay = await real({ ...configuration, host: 'record0' }, steps);
  assert.equal(replay.same, false);
  assert.match(
    realReplayText(replay, { write() {}, isTerminal: false, colour: false }),
    /not as in the model[\s\S]*did otherwise/,
  );
});

const refused: [options: Partial<Configuration>, what: string, why: RegExp][] = [
  [{ update: 'ahead' }, 'stable', /moves the host's own clock/],
  [{ reader: 'freebsd' }, 'stable', /no freebsd in machine code/],
  [{ host: 'all' }, 'stable', /no host here is all with writer today/],
  [{ writer: '2015' }, 'stable', /no host here is kvm with writer 2015/],
  [{ reader: 'rfc' }, 'mixed', /a record is written while the call runs/],
];
for (const [options, what, why] of refused) {
  kvmTest(`replayOnKvm() says why real vCPUs cannot follow: ${JSON.stringify(options)}, ${what}`, async () => {
    using kvm = realKvm();
    const { configuration, steps } = trace(options, what);
    const replay = await replayOnKvm(kvm, configuration, steps);
    assert.ok(isUnavailable(replay));
    assert.match(replay.unavailable, why);
  });
}

test('coarseEvents() keeps the order of update, entry and call', () => {
  const { steps } = trace({ reader: 'rfc' }, 'stale-use');
  const events = coarseEvents(steps, 2);
  assert.ok(Array.isArray(events));
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['update', 'enter', 'read'],
  );
  assert.deepEqual(events.at(-1), {
    step: steps.length,
    kind: 'read',
    vcpu: 1,
    model: { answered: true, stale: true },
  });
});
