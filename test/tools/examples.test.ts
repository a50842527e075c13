import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runExamples } from '../../tools/check-examples.ts';
import { blocksOf, commandsOf, sameOutput } from '../../tools/examples.ts';

const block = (info: string, ...lines: string[]) => ['```' + info, ...lines, '```', ''].join('\n');

describe('blocksOf()', () => {
  test('blocksOf() finds the fenced blocks with their lines, words and text', () => {
    const markdown = `# Title\n\n${block('sh', 'ls')}text\n${block('console needs=kvm file=a.txt', '$ ls', 'a')}`;
    const none = { file: undefined, needs: undefined, notRun: undefined };
    assert.deepEqual(blocksOf(markdown), [
      { line: 3, language: 'sh', ...none, text: 'ls\n' },
      { line: 7, language: 'console', ...none, needs: 'kvm', file: 'a.txt', text: '$ ls\na\n' },
    ]);
  });

  test('blocksOf() takes longer fences, and blocks within lists', () => {
    assert.equal(blocksOf('````sh\n```\nls\n```\n````')[0]!.text, '```\nls\n```\n');
    assert.equal(blocksOf('- item\n\n  ```sh\n  ls\n    -l\n  ```')[0]!.text, 'ls\n  -l\n');
  });

  test('blocksOf() takes a reason for not running one', () => {
    assert.equal(blocksOf(block('sh not-run: it needs root', 'reboot'))[0]!.notRun, 'it needs root');
  });

  for (const [info, message] of [
    ['sh not-run:', 'line 1: not-run: without a reason'],
    ['sh not-run', 'line 1: "not-run" says nothing here; there is file=, needs= and not-run:'],
    ['sh skip', 'line 1: "skip" says nothing here; there is file=, needs= and not-run:'],
    ['sh needs=root', 'line 1: there is needs=kvm, needs=live, needs=spin'],
    ['bash', 'line 1: a bash block is not run; call it sh'],
    ['js', 'line 1: a js block is not run; call it ts'],
    ['json not-run: no', 'line 1: a json block is not run anyway'],
  ] as const) {
    test(`blocksOf() refuses a block that begins with ${info}`, () => {
      assert.throws(() => blocksOf(block(info, 'ls')), { message });
    });
  }
});

describe('commandsOf()', () => {
  const commands = (info: string, ...lines: string[]) => commandsOf(blocksOf(block(info, ...lines))[0]!);

  test('commandsOf() takes every line of a sh block, but for comments', () => {
    assert.deepEqual(commands('sh', '# first', 'ls -l', '', 'pwd'), [
      { line: 3, command: 'ls -l', output: undefined },
      { line: 5, command: 'pwd', output: undefined },
    ]);
  });

  test('commandsOf() takes the prompts of a console block, their continuation and what is printed', () => {
    assert.deepEqual(commands('console', "$ cat <<'END'", '> a', '> END', 'a', '', '$ true'), [
      { line: 2, command: "cat <<'END'\na\nEND", output: ['a', ''] },
      { line: 7, command: 'true', output: [''] },
    ]);
  });

  test('commandsOf() refuses a console block without a command, or with output before the first', () => {
    assert.throws(() => commands('console', 'ls'), { message: 'line 2: output of no command: ls' });
    assert.throws(() => commands('console'), { message: 'line 1: no command in it' });
  });
});

describe('sameOutput()', () => {
  for (const [shown, printed] of [
    ['landed 26.7 ns', 'landed   9 ns'],
    ['took 640 ns', 'took 1.25 us'],
    ['up 42 min 4 s', 'up 1 h 2 min 59 s'],
    ['10 000 000 readings', '500 000 readings'],
    ['0x1000 and 03:04:05.123', '0xdeadbeef and 23:59:59.999'],
    ['v26.10.0', 'v26.10.1'],
    ['drift -0.26 ppm', 'drift 3 ppm'],
    ['AMD ... here', 'AMD EPYC 7763 here'],
    ['first\n...\nlast', 'first\na\nb\nlast'],
    ['first\n...\nlast', 'first\nlast'],
    ['text', 'text\n\n'],
  ] as const) {
    test(`sameOutput() takes ${JSON.stringify(printed)} for ${JSON.stringify(shown)}`, () => {
      assert.equal(sameOutput(shown.split('\n'), printed), true);
    });
  }

  for (const [shown, printed] of [
    ['sound', 'not sound'],
    ['landed 26.7 ns', 'landed 26.7 MHz'],
    ['landed 26.7 ns', 'landed ns'],
    ['a\nb', 'a'],
    ['a', 'a\nb'],
    ['a\n...\nc', 'a\nb'],
    ['', 'something'],
    ['(a|b)*', 'ab'],
  ] as const) {
    test(`sameOutput() does not take ${JSON.stringify(printed)} for ${JSON.stringify(shown)}`, () => {
      assert.equal(sameOutput(shown.split('\n'), printed), false);
    });
  }
});

describe('runExamples()', () => {
  const failures = (markdown: string) => runExamples('test.md', markdown).filter(({ failed }) => failed !== undefined);

  test('runExamples() runs commands, programs and the command of this project, in a folder of their own', () => {
    const markdown = [
      block('text file=words.txt', 'some words'),
      block('console', '$ cat words.txt', 'some words'),
      block(
        'console',
        '$ kvmclock --version',
        '0.0.0',
        '$ kvmclock decode none',
        '... no such file; ...',
        '(exit status 2)',
      ),
      block('sh', 'echo made > made.txt'),
      block('console', '$ cat made.txt', 'made'),
      block('ts', "import { tscKhz } from 'kvmclock';", 'if (tscKhz(0x80000000, 0) !== 2_000_000) throw new Error();'),
      block('ts not-run: it is never called', 'not a program'),
      block('json', 'not a program either'),
    ].join('\n');
    const outcomes = runExamples('test.md', markdown);
    assert.equal(outcomes.length, 7);
    for (const { failed } of outcomes) assert.equal(failed, undefined);
    assert.equal(outcomes.at(-1)!.skipped, 'it is never called');
  });

  test('runExamples() catches other output, a failing command, a program that throws and one of the wrong type', () => {
    const markdown = [
      block('console', '$ echo one', 'two'),
      block('console', '$ false'),
      block('sh', 'exit 3'),
      block('ts', "throw new Error('no');"),
      block('ts', "import { tscKhz } from 'kvmclock';", 'const khz: string = tscKhz(1, 0);'),
      block('ts', "import { noSuchThing } from 'kvmclock';", 'noSuchThing();'),
    ].join('\n');
    assert.equal(failures(markdown).length, 6);
  });

  test('runExamples() catches a block that would go by unrun', () => {
    assert.match(failures(block('bash', 'ls'))[0]!.failed!, /call it sh/);
    assert.match(failures(block('console', 'ls'))[0]!.failed!, /output of no command/);
  });
});
