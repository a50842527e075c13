import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { check } from '../../../src/checker/check.ts';
import { configurationText } from '../../../src/checker/explain.ts';
import { explore } from '../../../src/checker/explore.ts';
import { gather } from '../../../src/checker/export/gather.ts';
import { modelOf } from '../../../src/checker/export/model.ts';
import { tlaConfiguration, tlaText } from '../../../src/checker/export/tla.ts';
import { ALWAYS, SOMETIMES } from '../../../src/checker/properties.ts';
import { reducedBut } from '../../../src/checker/reductions.ts';
import { type Configuration, DEFAULT_CONFIGURATION, scenarioOf } from '../../../src/checker/scenarios.ts';
import { makeWorld } from '../../../src/checker/world.ts';
import { found } from '../../tools/debian.ts';
import { type Explored, exploreModule } from './tla-evaluator.ts';
import { definitionsIn } from './tla-parser.ts';

const configured = (changes: Partial<Configuration>): Configuration => ({ ...DEFAULT_CONFIGURATION, ...changes });

function textFor(configuration: Configuration): string {
  const scenario = scenarioOf(configuration);
  return tlaText(modelOf(scenario, gather(scenario).automata), 'Race', 'a title');
}

/** What check() finds, sorted. */
function shownHere(configuration: Configuration): string[] {
  const { violated, witnessed } = check(configuration);
  return [...violated, ...witnessed].map(({ property }) => property).sort();
}

/** The module, explored by the evaluator of these tests. */
function explored(text: string, invariants: readonly string[] = ['KnownAnswer']): Explored {
  const variables = /VARIABLES([\w\s,]*?)\n\n/
    .exec(text.replace(/\\\*.*/g, ''))![1]!
    .split(/[\s,]+/)
    .slice(1);
  return exploreModule(text, variables, invariants);
}

const SMALL = configured({ reader: 'rfc', vcpus: 1, host: 'none', update: 'ahead' });
const TEXT = textFor(SMALL);

describe('tlaText()', () => {
  test('tlaText() is a module called as asked, with its title', () => {
    assert.match(TEXT, /^-+ MODULE Race -+\n\(\*\n \* a title\n/);
    assert.match(TEXT, /\n====\n$/);
  });

  for (const changes of [
    {},
    { reader: 'landed', update: 'behind', calls: 2 },
    { reader: 'cached', memory: 'tso' },
    { reader: 'landed', ticks: 1 },
    { update: 'wall-clock', memory: 'tso' },
  ] as const) {
    const configuration = { ...SMALL, ...changes };
    test(`tlaText() of ${configurationText({ configuration })} shows what check() finds, in as many states`, () => {
      const { states, found: shown, violated } = explored(textFor(configuration));
      const unreduced = reducedBut(['private', 'leaving', 'own-stores', 'any-vcpu']);
      assert.deepEqual([...violated], []);
      assert.deepEqual([...shown].sort(), shownHere(configuration));
      assert.equal(states, explore(makeWorld(scenarioOf(configuration), unreduced)).states);
    });
  }

  test('tlaText() has for each property an invariant, which does not hold where it is shown', () => {
    const names = [...ALWAYS, ...SOMETIMES].map(({ name }) => name);
    const named = definitionsIn(TEXT).map(({ name }) => name);
    const invariants = named.filter((name) => name.startsWith('Not'));
    assert.equal(invariants.length, names.length);
    assert.deepEqual([...explored(TEXT.replace('State == <<', 'State == <<found, '), invariants).violated].sort(), [
      'NotMixed',
      'NotRetried',
      'NotStable',
      'NotStaleUse',
      'NotUpdated',
    ]);
  });

  const broken = (what: string, change: (text: string) => string, isNoticed: (one: Explored) => boolean): void => {
    test(`a module ${what} is noticed`, () => {
      const changed = change(TEXT);
      assert.notEqual(changed, TEXT);
      assert.ok(isNoticed(explored(changed)));
    });
  };

  broken(
    'that knows one answer less',
    (text) => text.replace(/(with \|-> 0, .*next \|-> <<\d+), \d+>>/, '$1>>'),
    ({ violated }) => violated.has('KnownAnswer'),
  );
  broken(
    'whose vCPUs are told nothing',
    (text) => text.replace('[did.hears EXCEPT ![p] = now]', 'did.hears'),
    (one) => !one.found.has('stale-use'),
  );
  broken(
    'whose calls forget which bit they used',
    (text) => text.replaceAll(/bit \|-> \d+/g, 'bit |-> -1'),
    (one) => !one.found.has('stale-use'),
  );
});

describe('tlaConfiguration()', () => {
  test('tlaConfiguration() names what the module defines', () => {
    const defined = definitionsIn(TEXT).map(({ name }) => name);
    const named = tlaConfiguration().match(/\b(?:Init|Next|KnownAnswer|State|Report|Not\w+)\b/g)!;
    assert.equal(named.length, 5 + ALWAYS.length + SOMETIMES.length);
    for (const name of named) assert.ok(defined.includes(name), name);
  });
});

const noTlc = found('tlc') === undefined ? 'there is no command tlc here, that runs TLC' : false;

/** What TLC prints of it. */
function runTlc(configuration: Configuration): string {
  const cwd = mkdtempSync(path.join(tmpdir(), 'kvmclock-tlc-'));
  try {
    writeFileSync(path.join(cwd, 'Race.tla'), textFor(configuration));
    writeFileSync(path.join(cwd, 'Race.cfg'), tlaConfiguration());
    return execFileSync('tlc', ['-workers', '2', 'Race.tla'], { cwd, encoding: 'utf8' });
  } finally {
    rmSync(cwd, { recursive: true });
  }
}

describe('TLC, on what is exported', { skip: noTlc }, () => {
  for (const changes of [{ reader: 'rfc' }, { vcpus: 1, update: 'ahead', memory: 'tso', reader: 'cached' }] as const) {
    const configuration = configured(changes);
    test(`finds in ${configurationText({ configuration })} what check() finds`, () => {
      const output = runTlc(configuration);
      assert.match(output, /Model checking completed. No error has been found./);
      const shown = [...output.matchAll(/^<<"kvmclock", \{(.*)\}>>$/gm)].flatMap(([, names]) => names!.split(', '));
      assert.deepEqual(
        [...new Set(shown)].sort(),
        shownHere(configuration).map((name) => `"${name}"`),
      );
    });
  }
});
