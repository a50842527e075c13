import assert from 'node:assert/strict';
import test from 'node:test';
import { check } from '../../../src/checker/check.ts';
import { parseReplay } from '../../../src/checker/replay-string.ts';
import { type Configuration, DEFAULT_CONFIGURATION, scenarioOf } from '../../../src/checker/scenarios.ts';
import { perform, type Step } from '../../../src/checker/trace.ts';
import { isUnavailable } from '../../../src/machine/sys.ts';
import { type RealReplay, replayOnKvm } from '../../../src/report/vm/replay.ts';
import { replayEvents } from '../../../src/report/vm/replay-events.ts';
import { realReplayText } from '../../../src/report/vm/replay-text.ts';
import { formatNs } from '../../../src/scale/duration.ts';
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

const said = (replay: RealReplay): string => realReplayText(replay, { write() {}, isTerminal: false, colour: false });

for (const reader of ['before', 'rfc', 'landed', 'cached', 'relaxed'] as const) {
  for (const update of ['unstable', 'set-clock'] as const) {
    kvmTest(`replayOnKvm() finds on the real KVM what the checker found: ${reader}, ${update}`, async () => {
      const { configuration, steps } = trace({ reader, update }, 'stale-use');
      const replay = await real(configuration, steps);
      assert.deepEqual([replay.clock, replay.same], ['kvm', true], said(replay));
      const { answered, broken, model } = replay.steps.findLast(({ call }) => call !== null)!.call!;
      assert.deepEqual({ answered, broken }, model);
      assert.ok(broken.includes('stale-use'));
      assert.match(said(replay), /as in the model: a time, which breaks [\s\S]*the real KVM did the same\n$/);
    });
  }
}

kvmTest('replayOnKvm() stops a call in its middle: record 0 is rewritten between the bit and the line', async () => {
  const { configuration, steps } = trace({ reader: 'rfc' }, 'mixed');
  const replay = await real(configuration, steps);
  assert.equal(replay.same, true, said(replay));
  assert.ok(replay.steps.at(-1)!.call!.broken.includes('mixed'));
  const { what } = replay.steps.at(-3)!;
  assert.equal(what, 'vCPU 0 enters the guest');
});

kvmTest('replayOnKvm() moves a thread to another vCPU in the middle of its call, and back', async () => {
  const { configuration, steps } = trace({ reader: 'before', host: 'none' }, 'own');
  const replay = await real(configuration, steps);
  assert.deepEqual([replay.clock, replay.same], ['ours', true], said(replay));
  const calls = replay.steps.filter(({ what }) => what.startsWith('before on'));
  assert.deepEqual(
    calls.map(({ what }) => what.slice(0, 'before on vCPU 0'.length)),
    ['before on vCPU 0', 'before on vCPU 1', 'before on vCPU 0', 'before on vCPU 0'],
  );
  const { errorNs, broken } = calls.at(-1)!.call!;
  assert.ok(broken.includes('own') && errorNs !== 0n);
  assert.ok(said(replay).includes(` ns, ${formatNs(Number(errorNs))} off what its own vCPU's record gives\n`));
});

for (const host of ['none', 'kvm', 'record0', 'all'] as const) {
  kvmTest(`replayOnKvm() performs a run that returns a time, under ${host}`, async () => {
    const { configuration, steps } = trace({ host }, 'stable');
    const replay = await real(configuration, steps);
    assert.equal(replay.same, true, said(replay));
    assert.deepEqual(replay.steps.at(-1)!.call!.broken, []);
    assert.match(said(replay), / \d+ ns\n {5}as in the model: a time, nothing broken\n/);
  });
}

kvmTest(
  'replayOnKvm() says where the real machine did otherwise: the race, where record 0 is written first',
  async () => {
    const { configuration, steps } = trace({}, 'stale-use');
    const replay = await real({ ...configuration, host: 'record0' }, steps);
    assert.equal(replay.same, false);
    assert.match(said(replay), /; in the model: a time, which breaks [\s\S]*did otherwise\n$/);
  },
);

kvmTest('replayOnKvm() says where the code reads something else than the model', async () => {
  const { configuration, steps } = trace({ reader: 'rfc' }, 'stable');
  const replay = await real({ ...configuration, reader: 'landed' }, steps);
  assert.equal(replay.same, false);
  assert.match(said(replay), /version of record 0, where the model reads flags of record 0/);
});

const refused: [options: Partial<Configuration>, what: string, why: RegExp][] = [
  [{ update: 'ahead' }, 'stable', /moves the host's own clock/],
  [{ reader: 'freebsd' }, 'stable', /no freebsd in machine code/],
  [{ reader: 'landed' }, 'retried', /a record is read half-written/],
  [{ reader: 'before', writer: '2015' }, 'torn', /a record is read half-written/],
  [{ reader: 'rfc', writer: '2014' }, 'torn', /a record is read half-written/],
  [{ kernel: 'fallback' }, 'unstable', /the guest's kernel reads at step \d+/],
  [{ reader: 'before', early: 'any-order' }, 'stale-use', /a load is done early at step \d+/],
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

test('replayEvents() refuses more than one update', () => {
  const { configuration, steps } = trace({}, 'stable');
  const events = replayEvents({ ...configuration, updates: 2 }, steps, true);
  assert.ok(isUnavailable(events) && /one update is performed/.test(events.unavailable));
});

const kindsOf = (options: Partial<Configuration>, what: string): string[] => {
  const { configuration, steps } = trace(options, what);
  const events = replayEvents(configuration, steps, true);
  assert.ok(!isUnavailable(events));
  return events.map((event) => (event.kind === 'enter' ? `enter ${event.vcpu}` : event.kind));
};

test('replayEvents() puts the write of a record between the access that found old words and that which found new ones', () => {
  const rest = Array.from({ length: 7 }, () => 'access');
  assert.deepEqual(kindsOf({ reader: 'rfc' }, 'mixed'), ['update', 'enter 1', 'access', 'enter 0', ...rest, 'return']);
  assert.deepEqual(kindsOf({ reader: 'rfc' }, 'stale-use'), ['update', 'enter 1', 'access', ...rest, 'return']);
});

test('replayEvents() refuses to let a vCPU go on untold where KVM keeps the clock', () => {
  const { configuration, steps } = trace({ reader: 'before', host: 'none' }, 'own');
  const events = replayEvents(configuration, steps, true);
  assert.ok(isUnavailable(events));
  assert.match(events.unavailable, /at step \d+ vCPU 0 goes on untold/);
  assert.ok(!isUnavailable(replayEvents(configuration, steps, false)));
});
