import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Mutation } from '../../../src/checker/mutations/mutation.ts';
import { MUTATIONS, mutantsIn } from '../../../src/checker/mutations/mutations.ts';
import { type Baselines, tryMutation } from '../../../src/checker/mutations/trial.ts';
import { ALWAYS, type PropertyName, SOMETIMES, type WitnessName } from '../../../src/checker/properties.ts';
import { type Configuration, DEFAULT_CONFIGURATION } from '../../../src/checker/scenarios.ts';

const baselines: Baselines = new Map();

const placeOf = ({ reader, host, update }: Configuration): string => `${reader} under ${host}: ${update}`;

/** What a mutation flips in one place. */
function flipOf(mutation: Mutation, place: string) {
  const configuration = mutation.configurations.find((one) => placeOf(one) === place);
  assert.ok(configuration !== undefined, `${mutation.name} is not tried with ${place}`);
  return tryMutation(mutation, baselines, [configuration]).flips[0];
}

function named(name: string): Mutation {
  const mutation = MUTATIONS.find((entry) => entry.name === name);
  assert.ok(mutation !== undefined, `there is no mutation ${name}`);
  return mutation;
}

/** One place where each is caught, and by what. */
const CAUGHT: Readonly<Record<string, readonly [place: string, effect: string]>> = {
  'before.no-first-barrier': ['before under all: set-clock', 'torn, mixed, own'],
  'before.no-second-barrier': ['before under record0: set-clock', 'own'],
  'before.no-second-look': ['before under all: set-clock', 'torn, mixed, stale-use, own'],
  'before.second-look-first': ['before under all: set-clock', 'torn, mixed, stale-use, own'],
  'before.no-stable-test': ['before under kvm: unstable', 'own; no longer unstable'],
  'before.stable-test-first': ['before under kvm: unstable', 'own'],
  'before.tsc-first': ['before under all: set-clock', 'own'],
  'before.tsc-last': ['before under all: set-clock', 'stale-use, own'],
  'before.plain-tsc': ['before under none: set-clock', 'backwards'],
  'before.one-number': ['before under kvm: unstable', 'own'],
  'before.second-number-first': ['before under kvm: unstable', 'own'],
  'rfc.no-first-barrier': ['rfc under all: set-clock', 'torn, own'],
  'rfc.no-second-barrier': ['rfc under all: set-clock', 'torn, own'],
  'rfc.odd-accepted': ['rfc under kvm: unstable', 'torn'],
  'rfc.no-second-look': ['rfc under kvm: unstable', 'torn; no longer retried'],
  'rfc.second-look-first': ['rfc under kvm: unstable', 'torn'],
  'rfc.no-stable-test': ['rfc under kvm: unstable', 'no longer unstable'],
  'rfc.stable-test-inside': ['rfc under kvm: unstable', 'no longer mixed'],
  'rfc.stable-test-last': ['rfc under kvm: unstable', 'no longer mixed'],
  'rfc.tsc-first': ['rfc under all: set-clock', 'own'],
  'rfc.tsc-last': ['rfc under all: set-clock', 'own'],
  'rfc.plain-tsc': ['rfc under none: set-clock', 'backwards'],
  'landed.no-first-barrier': ['landed under all: set-clock', 'torn, mixed, own'],
  'landed.no-second-barrier': ['landed under all: set-clock', 'torn, mixed, own'],
  'landed.odd-accepted': ['landed under kvm: unstable', 'torn, mixed'],
  'landed.no-second-look': ['landed under all: set-clock', 'torn, mixed, stale-use, own; no longer retried'],
  'landed.second-look-first': ['landed under all: set-clock', 'torn, mixed, stale-use, own'],
  'landed.no-stable-test': ['landed under kvm: unstable', 'no longer unstable'],
  'landed.stable-test-first': ['landed under all: set-clock', 'mixed, stale-use'],
  'landed.stable-test-last': ['landed under all: set-clock', 'mixed'],
  'landed.tsc-first': ['landed under all: set-clock', 'own'],
  'landed.tsc-last': ['landed under all: set-clock', 'stale-use, own'],
  'landed.plain-tsc': ['landed under none: set-clock', 'backwards'],
  'cached.no-first-barrier': ['cached under all: set-clock', 'torn, mixed, own'],
  'cached.odd-accepted': ['cached under kvm: unstable', 'torn, mixed'],
  'cached.no-barrier-behind-tsc': ['cached under all: set-clock', 'own'],
  'cached.no-stable-test': ['cached under kvm: unstable', 'no longer unstable'],
  'cached.version-first': ['cached under all: set-clock', 'stale-use, own'],
  'cached.no-version-check': ['cached under all: set-clock', 'stale-begin, stale-use, own'],
  'cached.no-odd-test': ['cached under all: unstable', 'stale-use, own'],
  'cached.no-second-round': ['cached under all: set-clock', 'own'],
  'cached.plain-tsc': ['cached under none: set-clock', 'backwards'],
  'relaxed.no-first-barrier': ['relaxed under all: set-clock', 'torn, mixed, own'],
  'relaxed.no-second-barrier': ['relaxed under all: set-clock', 'torn, mixed, own'],
  'relaxed.odd-accepted': ['relaxed under kvm: unstable', 'torn, mixed'],
  'relaxed.no-second-look': ['relaxed under kvm: unstable', 'torn, mixed; no longer retried'],
  'relaxed.second-look-first': ['relaxed under kvm: unstable', 'torn, mixed'],
  'relaxed.no-stable-test': ['relaxed under kvm: unstable', 'no longer unstable'],
  'relaxed.stable-test-first': ['relaxed under kvm: unstable', 'mixed'],
  'relaxed.stable-test-last': ['relaxed under all: set-clock', 'mixed'],
  'relaxed.tsc-first': ['relaxed under all: set-clock', 'own'],
  'relaxed.tsc-last': ['relaxed under all: set-clock', 'stale-use, own'],
  'freebsd.no-first-barrier': ['freebsd under all: set-clock', 'torn, mixed, own'],
  'freebsd.no-second-barrier': ['freebsd under all: set-clock', 'torn, mixed, own'],
  'freebsd.odd-accepted': ['freebsd under kvm: unstable', 'torn, mixed'],
  'freebsd.no-second-look': ['freebsd under all: set-clock', 'torn, mixed, stale-use, own; no longer retried'],
  'freebsd.second-look-first': ['freebsd under all: set-clock', 'torn, mixed, stale-use, own'],
  'freebsd.no-stable-test': ['freebsd under record0: unstable', 'own'],
  'freebsd.stable-test-first': ['freebsd under all: set-clock', 'mixed, stale-use'],
  'freebsd.stable-test-last': ['freebsd under all: set-clock', 'mixed'],
  'freebsd.tsc-first': ['freebsd under all: set-clock', 'own'],
  'freebsd.plain-tsc': ['freebsd under none: set-clock', 'backwards'],
  'freebsd.no-number-check': ['freebsd under record0: unstable', 'own'],
  'freebsd.first-tsc': ['freebsd under record0: unstable', 'own'],
  'kernel.no-clamp': ['landed under none: set-clock', 'backwards'],
  'kernel.no-clamp-test': ['landed under none: set-clock', 'backwards'],
  'kernel.no-exchange-retry': ['landed under none: set-clock', 'backwards; no longer retried'],
  'wall.no-first-barrier': ['landed under none: wall-clock', 'torn'],
  'wall.no-second-barrier': ['landed under none: wall-clock', 'torn'],
  'wall.odd-accepted': ['landed under none: wall-clock', 'torn'],
  'wall.no-second-look': ['landed under none: wall-clock', 'torn; no longer retried'],
  'wall.second-look-first': ['landed under none: wall-clock', 'torn'],
  'wall.no-odd-version': ['landed under none: wall-clock', 'torn'],
  'wall.even-version-first': ['landed under none: wall-clock', 'torn'],
  'wall.no-even-version': ['landed under none: wall-clock', 'no longer updated'],
  'wall.no-lock': ['landed under none: wall-clock', 'torn'],
  'publish.no-odd-version': ['landed under kvm: unstable', 'torn, mixed'],
  'publish.even-version-first': ['landed under kvm: unstable', 'torn, mixed'],
  'publish.no-even-version': ['before under kvm: unstable', 'no longer unstable'],
  'publish.no-mending': ['landed under all: set-clock', 'no longer stable'],
  'publish.xen-no-odd-version': ['landed under kvm: unstable', 'torn, mixed'],
  'publish.xen-even-version-first': ['landed under kvm: unstable', 'torn, mixed'],
  'publish.2015-version-last': ['before under kvm: unstable', 'no longer torn, mixed, own'],
  'publish.2014-version-last': ['before under kvm: unstable', 'no longer torn, mixed, own'],
  'copy.no-odd-sequence': ['landed under none: unstable', 'torn, mixed'],
  'copy.even-sequence-first': ['landed under none: unstable', 'torn, mixed'],
  'copy.odd-accepted': ['landed under none: unstable', 'torn, mixed'],
  'copy.no-second-look': ['landed under none: unstable', 'torn, mixed'],
  'copy.second-look-first': ['landed under none: unstable', 'torn, mixed'],
  'copy.no-second-look-frozen': ['landed under kvm: unstable', 'torn, mixed'],
  'gate.no-fence': ['before under record0: unstable', 'torn, mixed, stale-begin, own'],
  'gate.no-second-look': ['before under kvm: unstable', 'stale-begin, own'],
  'gate.second-look-first': ['landed under all: set-clock', 'own'],
  'gate.no-mode': ['landed under all: set-clock', 'own'],
  'gate.no-mode-back': ['landed under all: set-clock', 'no longer retried'],
  'requests.clock-update-late': ['before under kvm: unstable', 'own'],
  'requests.no-record': ['landed under all: set-clock', 'no longer retried, updated'],
  'freeze.no-request': ['before under kvm: unstable', 'stale-begin, own'],
  'freeze.no-wait': ['landed under all: set-clock', 'own'],
  'freeze.behind-copy': ['landed under record0: set-clock', 'stale-begin, stale-use, own'],
  'freeze.never-lifted': [
    'landed under kvm: unstable',
    'no longer stale-begin, stale-use, own, retried, updated, unstable',
  ],
  'freeze.lifted-before-requests': ['landed under record0: set-clock', 'own'],
  'freeze.lifted-before-record-0': ['landed under record0: set-clock', 'own'],
  'update.no-clock-update': [
    'landed under kvm: unstable',
    'no longer stale-begin, stale-use, own, retried, updated, unstable',
  ],
  'update.no-lock': ['landed under none: set-clock', 'torn, mixed'],
  'update.no-record-lock': ['landed under record0: unstable', 'torn, mixed, stale-begin, stale-use, own'],
};

/** For each property a broken reader or hypervisor that violates it, and where. */
const VIOLATED_BY: Readonly<Record<PropertyName, readonly [mutation: string, place: string]>> = {
  torn: ['landed.no-second-look', 'landed under kvm: unstable'],
  mixed: ['landed.stable-test-first', 'landed under kvm: unstable'],
  backwards: ['kernel.no-clamp', 'landed under none: set-clock'],
  'stale-begin': ['gate.no-second-look', 'before under kvm: unstable'],
  'stale-use': ['landed.tsc-last', 'landed under record0: set-clock'],
  own: ['before.one-number', 'before under kvm: unstable'],
};

/** For each thing that must happen one under which it does not. */
const PREVENTED_BY: Readonly<Record<WitnessName, readonly [mutation: string, place: string]>> = {
  retried: ['landed.no-second-look', 'landed under record0: set-clock'],
  updated: ['requests.no-record', 'landed under all: unstable'],
  stable: ['publish.no-mending', 'landed under all: set-clock'],
  unstable: ['landed.no-stable-test', 'landed under all: unstable'],
};

describe('tryMutation()', () => {
  for (const mutation of MUTATIONS.filter(({ because }) => because === undefined)) {
    const [place, effect] = CAUGHT[mutation.name] ?? ['nowhere', 'nothing'];
    test(`tryMutation() finds ${effect} with ${mutation.name}, ${place}`, () => {
      const flip = flipOf(mutation, place);
      const mended = flip?.mended ?? [];
      const parts = [...(flip?.broken ?? []), ...(mended.length > 0 ? [`no longer ${mended.join(', ')}`] : [])];
      assert.equal(parts.join(', '), effect.replace('; no longer', ', no longer'));
      if (flip!.broken.length > 0) assert.ok(flip!.replay.endsWith(`~${mutation.name}`), flip!.replay);
    });
  }

  for (const mutation of MUTATIONS.filter(({ because }) => because !== undefined)) {
    test(`tryMutation() finds nothing with ${mutation.name}, and it is said why`, () => {
      const { complete, flips } = tryMutation(mutation, baselines, mutation.configurations.slice(-1));
      assert.deepEqual({ complete, flips }, { complete: true, flips: [] });
    });
  }
});

describe('every property has its broken version', () => {
  for (const { name } of ALWAYS) {
    test(`${name} is violated by ${VIOLATED_BY[name]?.[0]}`, () => {
      const [mutation, place] = VIOLATED_BY[name];
      assert.ok(flipOf(named(mutation), place)?.broken.includes(name));
    });
  }

  for (const { name } of SOMETIMES) {
    test(`${name} never happens with ${PREVENTED_BY[name]?.[0]}`, () => {
      const [mutation, place] = PREVENTED_BY[name];
      assert.ok(flipOf(named(mutation), place)?.mended.includes(name));
    });
  }
});

describe('MUTATIONS', () => {
  test('each has a name of its own, and is tried somewhere', () => {
    assert.equal(new Set(MUTATIONS.map(({ name }) => name)).size, MUTATIONS.length);
    assert.ok(MUTATIONS.every(({ configurations }) => configurations.length > 0));
  });

  test('mutantsIn() gives what the name stands for, nothing where there is none, and refuses any other', () => {
    const withMutation = (mutation: string) => mutantsIn({ ...DEFAULT_CONFIGURATION, mutation });
    assert.equal(withMutation('landed.no-second-look')?.guest, named('landed.no-second-look').mutants.guest);
    assert.equal(mutantsIn(DEFAULT_CONFIGURATION), undefined);
    assert.throws(() => withMutation('landed.nothing'), { message: 'no mutation is called "landed.nothing"' });
  });
});
