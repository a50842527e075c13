/** From the arguments to one command's run: which command, its options parsed, its help, its errors as one line. */
import { parseArgs } from 'node:util';
import {
  type Args,
  COMMON_OPTIONS,
  type Command,
  EXIT_OK,
  EXIT_USAGE,
  type Io,
  type Options,
  UsageError,
} from './command.ts';
import { type Commands, DEFAULT_COMMAND } from './commands.ts';
import { failureText } from './failure.ts';
import { commandHelp, overview } from './help.ts';
import { version } from './version.ts';

/** Runs what `argv` (without node and the script) asks for. Returns the exit status; never throws. */
export async function dispatch(argv: readonly string[], commands: Commands, io: Io): Promise<number> {
  if (argv[0] === 'help') return await dispatch([...argv.slice(1), '--help'], commands, io); // as many type it
  const named = argv[0] !== undefined && !argv[0].startsWith('-');
  if (!named && (argv[0] === '--help' || argv[0] === '-h')) return say(io, overview(commands));
  if (!named && (argv[0] === '--version' || argv[0] === '-V')) return say(io, version() + '\n');
  return named ? await follow([], argv, commands, io) : await follow([], [DEFAULT_COMMAND, ...argv], commands, io);
}

/** `path`: the groups' names so far; `argv[0]` names the next. */
async function follow(path: readonly string[], argv: readonly string[], commands: Commands, io: Io): Promise<number> {
  const [name, ...rest] = argv;
  if (path.length > 0 && (name === '--help' || name === '-h')) return say(io, overview(commands, path));
  const entry = name !== undefined && Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (name === undefined || entry === undefined) {
    const wrong =
      name === undefined ? `${path.join(' ')} needs a command` : `no command ${quoted([...path, name].join(' '))}`;
    io.stderr.write(`kvmclock: ${wrong}; there are ${Object.keys(commands).join(', ')}\n`);
    return EXIT_USAGE;
  }
  const here = [...path, name];
  if ('commands' in entry) return await follow(here, rest, entry.commands, io);
  try {
    const { command } = await entry.load();
    const args = parse(command, rest);
    if (args === 'help') return say(io, commandHelp(entry.summary, command));
    return await command.run(args, io);
  } catch (error) {
    io.stderr.write(`kvmclock ${here.join(' ')}: ${failureText(error)}\n`);
    return EXIT_USAGE;
  }
}

function parse(command: Command, argv: readonly string[]): Args<Options> | 'help' {
  const options = { ...COMMON_OPTIONS, ...command.options };
  let parsed: ReturnType<typeof parseArgs<{ options: Options; allowPositionals: true; strict: true }>>;
  try {
    parsed = parseArgs({ args: [...argv], options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError(complaint(error as Error & { code?: string }, options));
  }
  const { json, help, ...values } = parsed.values as Args<Options>['values'] & { json?: boolean; help?: boolean };
  if (help) return 'help';
  const extra = parsed.positionals[command.maxPositionals];
  if (extra !== undefined)
    throw new UsageError(`unexpected argument ${quoted(extra)}; usage: kvmclock ${command.usage}`);
  return { values, positionals: parsed.positionals, json: json ?? false };
}

/** What parseArgs throws, in our words: which options there are, or what the one that it names takes. */
function complaint({ code, message }: Error & { code?: string }, options: Options): string {
  if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') {
    const unknown = message.split('. ')[0]!.replace(/^U/, 'u');
    return `${unknown}; there are ${Object.keys(options)
      .map((name) => `--${name}`)
      .join(', ')}`;
  }
  const name = /--([\w-]+)/.exec(message)?.[1] ?? '';
  const option = options[name];
  if (option === undefined) return message;
  if (option.type === 'boolean') return `--${name} takes no value; give it alone`;
  const value = option.value ?? 'VALUE';
  const dash = message.includes('ambiguous') ? `; one that begins with a dash is written --${name}=${value}` : '';
  return `--${name} needs a value: --${name} ${value}${dash}`;
}

/** An argument as an error message shows it: in quotes, control characters escaped, cut where it is long. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}...` : text);
}

function say(io: Io, text: string): number {
  io.stdout.write(text);
  return EXIT_OK;
}
