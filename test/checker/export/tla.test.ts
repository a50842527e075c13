import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { check } from '../../../src/checker/check.ts';
import { configurationText } from '../../../src/checker/explain.ts';
import { gather } from '../../../src/checker/export/gather.ts';
import { type Model, modelOf } from '../../../src/checker/export/model.ts';
import { tlaConfiguration, tlaText } from '../../../src/checker/export/tla.ts';
import { ALWAYS, SOMETIMES } from '../../../src/checker/properties.ts';
import { type Configuration, DEFAULT_CONFIGURATION, scenarioOf } from '../../../src/checker/scenarios.ts';
import { found } from '../../tools/debian.ts';

const configured = (changes: Partial<Configuration>): Configuration => ({ ...DEFAULT_CONFIGURATION, ...changes });

function modelFor(configuration: Configuration): Model {
  const scenario = scenarioOf(configuration);
  return modelOf(scenario, gather(scenario).automata);
}

const MODEL = modelFor(configured({ reader: 'cached', memory: 'tso' }));
const TEXT = tlaText(MODEL, 'Race', 'a title');

/** What TLA+ and its standard modules give a meaning to, of the names that are used. */
const KNOWN = new Set(
  (
    'MODULE EXTENDS Integers Sequences TLC VARIABLES LET IN IF THEN ELSE CASE OTHER LAMBDA RECURSIVE DOMAIN EXCEPT UNCHANGED ' +
    'ASSUME TRUE FALSE Len Head Tail Append SelectSeq TLCGet TLCSet PrintT in notin union subseteq E A'
  ).split(' '),
);

const withoutComments = (text: string): string => text.replace(/\(\*[\s\S]*?\*\)|\\\*.*/g, '');

/** The names in a module that nothing in it, nor TLA+, defines. */
function undefinedIn(text: string): string[] {
  const code = withoutComments(text).replace(/"[^"]*"/g, '');
  const bound = [
    ...code.matchAll(/^ *(?:LET )? *(\w+)(?:\(([^)]*)\))? ==/gm), // definitions and their parameters
    ...code.matchAll(/(\w+) \|->/g), // fields
    ...code.matchAll(/\.(\w+)/g), // likewise
    ...code.matchAll(/(?:LAMBDA|\[|\\E|\\A|,) *(\w+)(?: :| \\in)/g), // bound variables
    ...code.matchAll(/MODULE (\w+)/g),
  ].flatMap((match) => match.slice(1).flatMap((names) => (names ?? '').split(/, */)));
  const variables = /VARIABLES([\w\s,]*?)\n\n/.exec(code)![1]!.split(/[\s,]+/);
  const defined = new Set([...bound, ...variables, ...KNOWN]);
  return [...new Set(code.match(/[A-Za-z_]\w*/g))].filter(
    (name) => !defined.has(name) && name !== '_' && name !== '_vars',
  );
}

/** The brackets in a text that no other closes. */
function unclosedIn(text: string): string[] {
  const pairs: Readonly<Record<string, string>> = { '<<': '>>', '[': ']', '{': '}', '(': ')' };
  const open: string[] = [];
  for (const [bracket] of withoutComments(text).matchAll(/<<|>>(?!_)|[[\]{}()]/g)) {
    if (pairs[bracket] !== undefined) open.push(bracket);
    else if (pairs[open.at(-1) ?? ''] === bracket) open.pop();
    else open.push(bracket);
  }
  return open;
}

describe('tlaText()', () => {
  test('tlaText() is a module called as asked, with its title', () => {
    assert.match(TEXT, /^-+ MODULE Race -+\n\(\*\n \* a title\n/);
    assert.match(TEXT, /\n====\n$/);
  });

  test('tlaText() uses no name that is not defined, and closes what it opens', () => {
    assert.deepEqual(undefinedIn(TEXT), []);
    assert.deepEqual(unclosedIn(TEXT), []);
    assert.deepEqual(undefinedIn(TEXT.replace('Does(n) ==', 'Do(n) ==')), ['Does']);
    assert.notDeepEqual(unclosedIn(TEXT.replace('<<>>', '<<')), []);
  });

  test('tlaText() has a node for each of the model but the end, and an invariant for each property', () => {
    assert.equal(TEXT.match(/^\[does \|-> /gm)?.length, MODEL.nodes.length - 1);
    for (const { name } of [...ALWAYS, ...SOMETIMES]) assert.ok(TEXT.includes(` == "${name}" \\notin found`), name);
  });

  test('tlaText() has as many answers as what is left, where an operation leaves something', () => {
    for (const [, does, next, left] of TEXT.matchAll(/does \|-> "(\w+)".*next \|-> <<(.*?)>>, left \|-> <<(.*?)>>/g)) {
      const writes = does === 'count' || does === 'update';
      assert.equal(left!.split(', ').length, writes ? next!.split(', ').length : 1);
    }
  });
});

describe('tlaConfiguration()', () => {
  test('tlaConfiguration() names what the module defines', () => {
    const names = tlaConfiguration().match(/[A-Z][a-z]\w*/g)!;
    const inModule = names.filter((name) => !['To', 'INVARIANTS'].includes(name));
    assert.ok(inModule.length > ALWAYS.length + SOMETIMES.length);
    for (const name of inModule) assert.match(TEXT, new RegExp(`^${name} ==`, 'm'));
  });
});

const noTlc = found('tlc') === undefined ? 'there is no command tlc here, that runs TLC' : false;

/** What TLC prints of it. */
function runTlc(configuration: Configuration): string {
  const cwd = mkdtempSync(path.join(tmpdir(), 'kvmclock-tlc-'));
  try {
    writeFileSync(path.join(cwd, 'Race.tla'), tlaText(modelFor(configuration), 'Race', 'a title'));
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
      const { violated, witnessed } = check(configuration);
      const output = runTlc(configuration);
      assert.match(output, /Model checking completed. No error has been found./);
      const shown = [...output.matchAll(/^<<"kvmclock", \{(.*)\}>>$/gm)].flatMap(([, names]) => names!.split(', '));
      const expected = [...violated, ...witnessed].map(({ property }) => `"${property}"`);
      assert.deepEqual([...new Set(shown)].sort(), expected.sort());
    });
  }
});
