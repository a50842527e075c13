import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { defineCommand, UsageError } from '../../src/cli/command.ts';
import { COMMANDS, type Commands, type Entry } from '../../src/cli/commands.ts';
import { captured } from './captured.ts';

const echo = defineCommand({
  usage: 'echo [WORD]',
  details: 'It says what it was told.',
  options: {
    loud: { type: 'boolean', short: 'l', help: 'say it louder' },
    times: { type: 'string', value: 'N', default: '1', help: 'say it N times' },
  },
  maxPositionals: 1,
  async run({ values, positionals, json }, io) {
    io.stdout.write(JSON.stringify({ ...values, positionals, json }));
    return 7;
  },
});

const failing = (error: unknown) =>
  defineCommand({
    usage: 'fail',
    details: '',
    options: {},
    maxPositionals: 0,
    run: () => Promise.reject(error),
  });

const commands: Commands = {
  echo: { summary: 'say something', load: async () => ({ command: echo }) },
  doctor: { summary: 'look at it', load: async () => ({ command: echo }) },
  usage: { summary: 'refuse', load: async () => ({ command: failing(new UsageError('no such\n\x1b[2Jthing')) }) },
  group: { summary: 'say more', commands: { echo: { summary: 'say it', load: async () => ({ command: echo }) } } },
  fault: { summary: 'break', load: async () => ({ command: failing(new TypeError('x is not\na function')) }) },
};

describe('dispatch()', () => {
  test('dispatch() gives the command its options, its arguments and --json, and returns its status', async () => {
    assert.deepEqual(await captured(['echo', 'word', '-l', '--times=3', '--json'], commands), {
      status: 7,
      stdout: '{"loud":true,"times":"3","positionals":["word"],"json":true}',
      stderr: '',
    });
  });

  test('dispatch() runs the default command where no command is named', async () => {
    assert.equal(
      (await captured(['--loud'], commands)).stdout,
      '{"loud":true,"times":"1","positionals":[],"json":false}',
    );
    assert.equal((await captured([], commands)).status, 7);
  });

  test('dispatch() prints the overview, and the help of a command', async () => {
    for (const flag of ['--help', '-h']) {
      const { status, stdout, stderr } = await captured([flag], commands);
      assert.equal(status, 0);
      assert.equal(stderr, '');
      assert.match(stdout, /^ {2}echo {4}say something$/m);
      assert.match(stdout, /^ {2}doctor {2}look at it \(the default\)$/m);
    }
    assert.deepEqual(await captured(['echo', '--help'], commands), {
      status: 0,
      stdout: `kvmclock echo [WORD]

Say something.

It says what it was told.

Options:
  -l, --loud     say it louder
      --times N  say it N times
      --json     print one JSON object and nothing else
  -h, --help     print this
`,
      stderr: '',
    });
  });

  test('dispatch() goes into a group of commands, and prints its overview', async () => {
    assert.deepEqual(await captured(['group', 'echo', 'word'], commands), await captured(['echo', 'word'], commands));
    const { status, stdout } = await captured(['group', '--help'], commands);
    assert.equal(status, 0);
    assert.match(stdout, /^Usage: kvmclock group COMMAND/);
    assert.match(stdout, /^ {2}echo {2}say it$/m);
  });

  test('dispatch() takes help, and help for a command, for --help', async () => {
    for (const path of [[], ['echo'], ['group'], ['group', 'echo'], ['help']]) {
      const asked = await captured(['help', ...path], commands);
      assert.equal(asked.status, 0);
      assert.deepEqual(asked, await captured([...path, '--help'], commands));
    }
    assert.equal((await captured(['help', 'nothing'], commands)).status, 2);
  });

  test('dispatch() prints the version of package.json', async () => {
    for (const flag of ['--version', '-V']) {
      const { status, stdout } = await captured([flag], commands);
      assert.equal(status, 0);
      assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
    }
  });

  for (const [argv, stderr] of [
    [['bogus'], 'kvmclock: no command "bogus"; there are echo, doctor, usage, group, fault\n'],
    [['toString'], 'kvmclock: no command "toString"; there are echo, doctor, usage, group, fault\n'],
    [['\x1b[2J'], 'kvmclock: no command "\\u001b[2J"; there are echo, doctor, usage, group, fault\n'],
    [['echo', '--bogus'], "kvmclock echo: unknown option '--bogus'; there are --json, --help, --loud, --times\n"],
    [['echo', '-x'], "kvmclock echo: unknown option '-x'; there are --json, --help, --loud, --times\n"],
    [['--bogus'], "kvmclock doctor: unknown option '--bogus'; there are --json, --help, --loud, --times\n"],
    [['echo', '--times'], 'kvmclock echo: --times needs a value: --times N\n'],
    [
      ['echo', '--times', '-5'],
      'kvmclock echo: --times needs a value: --times N; one that begins with a dash is written --times=N\n',
    ],
    [['echo', '--loud=yes'], 'kvmclock echo: --loud takes no value; give it alone\n'],
    [['echo', 'a', 'b'], 'kvmclock echo: unexpected argument "b"; usage: kvmclock echo [WORD]\n'],
    [['group'], 'kvmclock: group needs a command; there are echo\n'],
    [['group', 'bogus'], 'kvmclock: no command "group bogus"; there are echo\n'],
    [['group', 'echo', '-x'], "kvmclock group echo: unknown option '-x'; there are --json, --help, --loud, --times\n"],
    [['usage'], 'kvmclock usage: no such [2Jthing\n'],
  ] as const) {
    test(`dispatch() answers ${JSON.stringify(argv)} with one line and exit status 2`, async () => {
      assert.deepEqual(await captured(argv, commands), { status: 2, stdout: '', stderr });
    });
  }

  test("dispatch() says which flag of Node's allows what --permission forbids", async () => {
    const message = 'Access to this API has been restricted. Use --allow-worker to manage permissions.';
    const denied = Object.assign(new Error(message), { code: 'ERR_ACCESS_DENIED' });
    const { stderr } = await captured(['no'], {
      no: { summary: '', load: async () => ({ command: failing(denied) }) },
    });
    assert.equal(stderr, "kvmclock no: Node's --permission forbids what this needs; add --allow-worker\n");
  });

  test('dispatch() says of a fault of its own where it is, on one line, without a stack trace', async () => {
    const { status, stdout, stderr } = await captured(['fault'], commands);
    assert.equal(status, 2);
    assert.equal(stdout, '');
    assert.match(
      stderr,
      /^kvmclock fault: x is not a function \(a fault of kvmclock itself, at .*dispatch\.test\.ts.*\)\n$/,
    );
  });
});

/** Each command with the words that call it. */
function* everyCommand(commands: Commands, path: readonly string[] = []): Generator<[string[], Entry]> {
  for (const [name, entry] of Object.entries(commands)) {
    if ('commands' in entry) yield* everyCommand(entry.commands, [...path, name]);
    else yield [[...path, name], entry];
  }
}

describe('every command', () => {
  for (const [path, entry] of everyCommand(COMMANDS)) {
    const name = path.join(' ');

    test(`kvmclock ${name} has a help that fits a terminal and names each of its options`, async () => {
      const { command } = await entry.load();
      const { status, stdout } = await captured([...path, '--help']);
      assert.equal(status, 0);
      assert.ok(stdout.startsWith(`kvmclock ${name}`), stdout);
      for (const option of Object.keys(command.options)) assert.ok(stdout.includes(`--${option}`), option);
      for (const line of stdout.split('\n')) assert.ok(line.length <= 120, line);
    });

    test(`kvmclock ${name} refuses an argument beyond those that its usage shows`, async () => {
      const { command } = await entry.load();
      const words = command.usage
        .replaceAll(/\[-[^\]]*\]+/g, '')
        .trim()
        .split(/\s+/);
      const most = words.slice(path.length).map((_, index) => `argument-${index}`);
      const { status, stdout, stderr } = await captured([...path, ...most, 'beyond']);
      assert.deepEqual([status, stdout], [2, '']);
      assert.equal(stderr, `kvmclock ${name}: unexpected argument "beyond"; usage: kvmclock ${command.usage}\n`);
    });

    test(`kvmclock ${name} refuses an unknown option in one line`, async () => {
      const { status, stdout, stderr } = await captured([...path, '--no-such-option']);
      assert.equal(status, 2);
      assert.equal(stdout, '');
      assert.match(stderr, new RegExp(`^kvmclock ${name}: unknown option '--no-such-option'; there are .*\n$`));
    });
  }
});
