import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Baselines, MUTATIONS, type MutationReport, tryMutation } from '../../src/checker/mutations.ts';

const baselines: Baselines = new Map();

function tried(name: string): MutationReport {
  const mutation = MUTATIONS.find((entry) => entry.name === name);
  assert.ok(mutation !== undefined, `there is no mutation ${JSON.stringify(name)}`);
  const report = tryMutation(mutation, baselines);
  assert.ok(report.complete);
  return report;
}

const broken = ({ flips }: MutationReport): string[] => [...new Set(flips.flatMap((flip) => flip.broken))].sort();

/** Every property has a broken reader or hypervisor that violates it. */
const CAUGHT: Readonly<Record<string, readonly string[]>> = {
  'no read barrier behind the first look at the version': ['mixed', 'own', 'torn'],
  'no second look at the version': ['mixed', 'own', 'stale-use', 'torn'],
  'an odd version accepted': ['mixed', 'own', 'torn'],
  'no test of the stable bit': ['own'],
  'the stable bit tested before the loop': ['mixed', 'own', 'stale-use'],
  'the number of the vCPU asked once': ['own'],
  'no odd version': ['mixed', 'torn'],
  'the even version before the body': ['mixed', 'own', 'torn'],
  'no MCLOCK_INPROGRESS': ['own', 'stale-begin', 'stale-use'],
  'the gate does not look again': ['own', 'stale-begin', 'stale-use'],
  'the freeze lifted before new records are asked for': ['own', 'stale-begin', 'stale-use'],
  "no odd sequence of the VM's copy": ['mixed', 'torn'],
  'the TSC read without its fence': ['backwards'],
};

const NOT_CAUGHT = [
  'no read barriers at all, on x86',
  'no fence in the gate, where stores are not buffered',
  'no fence behind the TSC read',
];

describe('tryMutation()', () => {
  for (const [name, properties] of Object.entries(CAUGHT)) {
    test(`tryMutation() finds ${properties.join(', ')} with ${name}`, () =>
      assert.deepEqual(broken(tried(name)), properties));
  }

  for (const name of NOT_CAUGHT) {
    test(`tryMutation() finds nothing with ${name}`, () => assert.deepEqual(tried(name).flips, []));
  }

  test('tryMutation() finds what no longer happens with no CLOCK_UPDATE', () => {
    const flip = tried('no CLOCK_UPDATE').flips.find(({ configuration }) => configuration.host === 'kvm');
    assert.ok(flip?.mended.includes('updated'));
  });
});
