import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Option } from '../../src/cli/command.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { places } from '../../src/cli/completion-model.ts';
import { READERS } from '../../src/guest/readers.ts';
import { captured } from './captured.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

const folder = mkdtempSync(path.join(tmpdir(), 'kvmclock-completion-'));
const script = (shell: Shell): string => path.join(folder, `completion.${shell}`);
before(async () => {
  writeFileSync(path.join(folder, 'image.elf'), '');
  for (const shell of SHELLS) {
    const { status, stdout } = await captured(['completion', shell]);
    assert.equal(status, 0);
    writeFileSync(script(shell), stdout);
  }
});
after(() => rmSync(folder, { recursive: true }));

function run(shell: Shell, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(shell, args, { cwd: folder, encoding: 'utf8' });
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  return stdout;
}

const word = (text: string): string => `'${text}'`;

/** What each shell offers at the end of the words after `kvmclock`. */
const OFFERED: Readonly<Record<Shell, (words: readonly string[]) => string>> = {
  // bash has split the words at "=" when it calls the function
  bash: (words) => {
    const split = ['kvmclock', ...words].flatMap((text) =>
      text.split(/(=)/).filter((part, at) => at === 0 || part !== ''),
    );
    const set = `COMP_WORDS=(${split.map(word).join(' ')}); COMP_CWORD=${split.length - 1}`;
    return run('bash', ['--norc', '-c', `. ${script('bash')}; ${set}; _kvmclock; printf '%s\\n' "\${COMPREPLY[@]}"`]);
  },
  // zsh's own commands of completion work in its line editor alone: these stand in for them and filter as they do
  zsh: (words) => {
    const set = `words=(kvmclock ${words.map(word).join(' ')}); CURRENT=${words.length + 1}; PREFIX=${word(words.at(-1)!)}`;
    const stand = `compdef() { }
      compset() { PREFIX=\${PREFIX#*=} }
      compadd() { shift; for offer; do [[ $offer == $PREFIX* ]] && print -r -- "$offer"; done; true }
      _describe() { [[ $1 == -o ]] && shift; for offer in "\${(@P)2}"; do [[ $offer == $PREFIX* ]] && print -r -- "\${offer%%:*}"; done; true }
      _files() { print -l -- *(N) }
      _message() { }`;
    return run('zsh', ['-f', '-c', `${stand}\n. ${script('zsh')}\n${set}; _kvmclock`]);
  },
  fish: (words) => {
    const line = ['kvmclock', ...words].join(' ');
    const offers = run('fish', ['--no-config', '-c', `source ${script('fish')}; complete -C ${word(line)}`]);
    return offers.replace(/\t.*$/gm, '').replace(/^--\w[\w-]*=/gm, '');
  },
};

const CASES: readonly (readonly [words: readonly string[], offered: readonly string[]])[] = [
  [
    ['vm', 'r'],
    ['race', 'run'],
  ],
  [['ser'], ['serve']],
  [['check', 'la'], ['landed']],
  [['check', ''], Object.keys(READERS)],
  [['check', '--host', 're'], ['record0']],
  [
    ['check', '--memory='],
    ['sc', 'tso'],
  ],
  [['check', '--memory=t'], ['tso']],
  [
    ['check', 'landed', '--host', ''],
    ['none', 'kvm', 'record0', 'all'],
  ],
  [['vm', 'race', '--ru'], ['--runs']],
  [['vm', 'race', '--clock', 'kvmc'], ['kvmclock']],
  [
    ['replay', '--machine', ''],
    ['model', 'kvm'],
  ],
  [['--vers'], ['--version']],
  [['--machine', 's'], ['simulated']],
  [['completion', ''], [...SHELLS]],
  [['vm', 'run', 'im'], ['image.elf']],
  [['vdso', '--out', 'im'], ['image.elf']],
  [['vm', 'bench', '--rounds', 'x'], []],
];

describe('kvmclock completion', () => {
  for (const shell of SHELLS) {
    test(`the script for ${shell} completes commands, options, values and files in ${shell}`, (t) => {
      if (spawnSync(shell, ['--version']).status !== 0) return t.skip(`${shell} is not here`);
      run(shell, ['-n', script(shell)]);
      for (const [words, offered] of CASES) {
        const lines = OFFERED[shell](words)
          .split('\n')
          .filter((line) => line !== '' && !line.startsWith('completion.'));
        assert.deepEqual(lines.map((line) => line.trim()).sort(), [...offered].sort(), words.join(' '));
      }
    });

    test(`the script for ${shell} names every command and every option`, async () => {
      const { stdout } = await captured(['completion', shell]);
      for (const { path: place, options } of await places(COMMANDS)) {
        assert.ok(stdout.includes(`'${place}'`) || stdout.includes(`\\'${place}\\'`), place);
        for (const name of options.map(({ names }) => names[0]!)) {
          assert.ok(stdout.includes(shell === 'fish' ? `-l ${name.slice(2)} ` : name), `${place} ${name}`);
        }
      }
    });
  }

  test('places() lists the program with its default command, the groups, and what each option takes', async () => {
    const all = await places(COMMANDS);
    const at = (wanted: string) => all.find((place) => place.path === wanted)!;
    const value = (place: string, name: string) => at(place).options.find(({ names }) => names[0] === name)!.value;
    assert.ok(at('').options.some(({ names }) => names.includes('--textfile')));
    assert.deepEqual(
      at('vm').commands.map(({ name }) => name),
      ['bench', 'race', 'stress', 'conform', 'run'],
    );
    assert.equal(value('doctor', '--textfile'), 'folder');
    assert.equal(value('vdso', '--header'), 'file');
    assert.equal(value('check', '--why'), undefined);
    assert.equal(value('check', '--vcpus'), 'unknown');
    assert.deepEqual(value('vm stress', '--clock'), ['kvm', 'kvmclock']);
    assert.deepEqual(value('check', '--writer'), ['2014', '2015', 'today', 'xen']);
    assert.deepEqual(value('vm race', '--update'), ['unstable', 'set-clock']);
    assert.deepEqual(value('check', '--export'), ['promela', 'tla']);
    assert.equal(at('decode').argument, 'file');
    assert.equal(at('doctor').argument, 'unknown');
  });

  test('every option that takes one of some names offers them, and its help says which they are', async () => {
    for (const [command, load] of [
      ['check', import('../../src/cli/check.ts')],
      ['bench', import('../../src/cli/bench.ts')],
      ['vm race', import('../../src/cli/vm-race.ts')],
      ['vm stress', import('../../src/cli/vm-stress.ts')],
    ] as const) {
      for (const [name, option] of Object.entries<Option>((await load).command.options)) {
        if (!/^(NAMES?|KIND|WHEN|FORMAT)$/.test(option.value ?? '')) continue;
        assert.ok(option.values !== undefined && option.values.length > 1, `${command} --${name}`);
        const told = name === 'mutation' || name === 'property' ? [] : option.values; // by --mutations, and above the options
        for (const one of told) assert.ok(option.help.includes(one), `${command} --${name}: ${one}`);
      }
    }
  });

  test('`kvmclock completion` refuses a shell that it does not know, and none, in one line', async () => {
    for (const [argv, stderr] of [
      [['completion', 'tcsh'], 'kvmclock completion: no script for "tcsh"; there are bash, zsh, fish\n'],
      [['completion'], 'kvmclock completion: for which shell? There are bash, zsh, fish\n'],
    ] as const) {
      assert.deepEqual(await captured(argv), { status: 2, stdout: '', stderr });
    }
  });
});
