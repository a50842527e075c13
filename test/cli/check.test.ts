import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { captured } from './captured.ts';

const check = (...argv: string[]) => captured(['check', ...argv]);

async function json(status: number, ...argv: string[]) {
  const answer = await check(...argv, '--json');
  assert.deepEqual([answer.status, answer.stderr], [status, '']);
  return JSON.parse(answer.stdout);
}

const names = (findings: readonly { readonly property: string }[]): string[] =>
  findings.map(({ property }) => property);

describe('kvmclock check', () => {
  test('prints the verdict on every property, the race as numbered steps, and its replay string; exit status 1', async () => {
    const { status, stdout } = await check('rfc', '--host', 'kvm', '--why');
    assert.equal(status, 1);
    assert.match(stdout, /^rfc under kvm, .*\n {2}[\d ]+ states, complete, .* MiB of states; [\d ]+ MiB at the peak\n/);
    assert.match(stdout, /\n {2}VIOLATED {2}stale-begin .* 20 steps\n/);
    assert.match(stdout, /\nstale-begin, in 20 steps:\n {2}1\. /);
    assert.match(
      stdout,
      /\n 20\. .*\nThe call ended on vCPU 1 and returned 117 ns\. It began on a vCPU that was told of/,
    );
    assert.ok(!(await check('rfc', '--host', 'kvm')).stdout.includes('It began on'), 'said without --why');
    const replay = /\nkvmclock replay '(.*)'\n$/.exec(stdout)![1]!;
    const stepped = await captured(['replay', replay]);
    assert.equal(stepped.status, 0);
    assert.match(stepped.stdout, /stale-begin: The call ended on vCPU 1/);
  });

  test('--json has the whole configuration, and every finding with its steps', async () => {
    const { verdicts, peakBytes } = await json(0, 'landed', '--host', 'record0');
    const [{ seconds, states, transitions, bytes, witnessed, ...rest }] = verdicts;
    assert.ok(seconds > 0 && transitions > states && bytes > 0 && peakBytes > bytes);
    assert.deepEqual(names(witnessed), ['retried', 'updated', 'stable', 'unstable']);
    assert.deepEqual(rest, {
      reader: 'landed',
      host: 'record0',
      writer: 'today',
      update: 'unstable',
      memory: 'sc',
      vcpus: 2,
      threads: 1,
      calls: 1,
      updaters: 1,
      updates: 1,
      ticks: 0,
      kernel: 'none',
      early: null,
      mutation: null,
      complete: true,
      violated: [],
    });
  });

  test('a search that is cut off is no pass: exit status 3', async () => {
    const { status, stdout } = await check('landed', '--host', 'record0', '--max-states', '100');
    assert.equal(status, 3);
    assert.match(stdout, /CUT OFF by a bound: no pass/);
    assert.match(stdout, /\n {2}not seen {2}torn /);
  });

  test('--witness traces a run in which it happens, and says so where none does', async () => {
    const seen = await check('landed', '--host', 'record0', '--witness', 'retried');
    assert.match(seen.stdout, /\nretried, in \d+ steps:\n {2}1\. .*\n/);
    const never = await check('freebsd', '--host', 'record0', '--witness', 'unstable');
    assert.match(never.stdout, /\nunstable: no run shows it\n$/);
  });

  test('--unreduced reaches the same verdicts in more states', async () => {
    const [reduced] = (await json(1, 'landed')).verdicts;
    const [full] = (await json(1, 'landed', '--unreduced', 'private,leaving')).verdicts;
    assert.deepEqual(names(full.violated), names(reduced.violated));
    assert.ok(full.states > reduced.states);
  });

  test('--all prints a row for each host and writer of a reader, and a letter for each violation', async () => {
    const { status, stdout } = await check('rfc', '--all');
    assert.equal(status, 1);
    assert.match(stdout, /^reader +host +writer +memory +unstable +ahead +behind +set-clock\n/);
    assert.equal(stdout.match(/^rfc /gm)?.length, 16);
    assert.match(stdout, /^rfc +kvm +today +sc +M?B?SUO? /m);
    assert.match(stdout, /\nmemory sc: 64 configurations, [\d ]+ states, /);
  });
});

describe('kvmclock check with a migrating thread', () => {
  test('before under none: a time that is not of the vCPU whose TSC was read, as the thread is moved for that alone', async () => {
    const { stdout } = await check('before', '--host', 'none', '--property', 'own', '--why');
    const vcpus = [...stdout.matchAll(/before on vCPU (\d)(?:, moved there,)? (asks for its vCPU|reads the TSC)/g)].map(
      ([, at, what]) => [at, what],
    );
    assert.deepEqual(vcpus, [
      ['0', 'asks for its vCPU'],
      ['1', 'reads the TSC'],
      ['0', 'asks for its vCPU'],
    ]);
    assert.match(stdout, /\n\s*\d+\. before on vCPU 1, moved there, reads the TSC of vCPU 1: 27\n/);
    assert.match(
      stdout,
      /Its thread had been moved: it read the TSC of vCPU 1, whose record gives 110 ns for that\.\n/,
    );
  });
});

describe('kvmclock check --mutations', () => {
  test('says of each mutation of a part which verdicts flip, and where', async () => {
    const { status, stdout } = await check('wall', '--mutations');
    assert.equal(status, 0);
    assert.match(
      stdout,
      /^wall\.no-odd-version {2}no odd version: caught in 1 of 1\n {2}now torn\n {4}landed under none: wall-clock\n/m,
    );
    assert.match(stdout, /\n9 of 9 mutations flip a verdict; nothing here catches the others\n$/);
  });

  test('says why where nothing catches one', async () => {
    const { mutations } = await json(0, 'kernel', '--mutations');
    const [odd, , clamp] = mutations;
    assert.deepEqual([odd.name, odd.part, odd.flips, odd.tried], ['kernel.odd-accepted', 'kernel', [], 3]);
    assert.match(odd.because, /out of the guest/);
    assert.deepEqual([clamp.because, clamp.flips[0].broken], [null, ['backwards']]);
    const { status, stdout } = await captured(['replay', clamp.flips[0].replay, '--json']);
    assert.equal(status, 0);
    const { shown, mutation, early } = JSON.parse(stdout);
    assert.ok(shown.includes('backwards'));
    assert.deepEqual([mutation, early], [clamp.name, null]);
  });

  test('--mutation explores one configuration with it: the fence in the gate, that only TSO needs', async () => {
    const gate = ['--mutation', 'gate.no-fence', '--host', 'record0', '--max-states', '200000'];
    assert.deepEqual(names((await json(1, 'before', ...gate)).verdicts[0].violated), ['stale-use']);
    const [{ mutation, violated }] = (await json(1, 'before', ...gate, '--memory', 'tso')).verdicts;
    assert.equal(mutation, 'gate.no-fence');
    assert.ok(names(violated).includes('stale-begin'));
  });

  const refused: readonly (readonly [string[], RegExp])[] = [
    [['--mutation', 'nothing'], /--mutation: none is called "nothing"; kvmclock check --mutations names them/],
    [['rfc', '--mutation', 'landed.tsc-first'], /--mutation landed\.tsc-first is a step of landed, not of rfc/],
    [['nobody', '--mutations'], /no part "nobody"; there are before, rfc, .*update\n/],
    [['--unreduced', 'much'], /--unreduced takes private, .*rounds, not "much"/],
    [['nobody'], /^kvmclock check: no reader "nobody"; there are before, .*freebsd\n/],
    [['--all', '--threads', '2'], /--threads changes nothing with --all; leave it out/],
    [['--all', '--why'], /--why changes nothing with --all/],
    [['--mutations', '--memory', 'tso'], /--memory changes nothing with --mutations/],
    [['--mutations', '--all'], /--all changes nothing with --mutations/],
    [['--export', 'tla', '--property', 'torn'], /--property changes nothing with --export/],
    [['--witness', 'retried', '--property', 'torn'], /--witness and --property name two traces; give one of them/],
    [['--all', '--mutation', 'gate.no-fence'], /--mutation is explored in one configuration; leave --all/],
    [['--updaters', '0'], /--updaters takes a whole number of 1\.\.8, not "0"/],
  ];
  for (const [argv, message] of refused) {
    test(`refuses ${argv.join(' ')}`, async () => {
      const { status, stdout, stderr } = await check(...argv);
      assert.deepEqual([status, stdout, stderr.split('\n').length], [2, '', 2]);
      assert.match(stderr, message);
    });
  }
});

test('kvmclock replay --machine kvm refuses a mutation: what runs there is what is shipped', async () => {
  const replay = 'landed~kvm~today~unstable~sc~v2t1c1~a~landed.tsc-first';
  const { status, stderr } = await captured(['replay', replay, '--machine', 'kvm']);
  assert.equal(status, 2);
  assert.match(stderr, /--machine kvm runs what is shipped, not landed\.tsc-first/);
});
