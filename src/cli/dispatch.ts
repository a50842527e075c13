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
import { commandHelp, overview } from './help.ts';
import { version } from './version.ts';

/** Runs what `argv` (without node and the script) asks for. Returns the exit status; never throws. */
export async function dispatch(argv: readonly string[], commands: Commands, io: Io): Promise<number> {
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
    io.stderr.write(`kvmclock ${here.join(' ')}: ${oneLine(error)}\n`);
    return EXIT_USAGE;
  }
}

function parse(command: Command, argv: readonly string[]): Args<Options> | 'help' {
  const options = { ...COMMON_OPTIONS, ...command.options };
  let parsed: ReturnType<typeof parseArgs<{ options: Options; allowPositionals: true; strict: true }>>;
  try {
    parsed = parseArgs({ args: [...argv], options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError(complaint(error, Object.keys(options)));
  }
  const { json, help, ...values } = parsed.values as Args<Options>['values'] & { json?: boolean; help?: boolean };
  if (help) return 'help';
  const extra = parsed.positionals[command.maxPositionals];
  if (extra !== undefined)
    throw new UsageError(`unexpected argument ${quoted(extra)}; usage: kvmclock ${command.usage}`);
  return { values, positionals: parsed.positionals, json: json ?? false };
}

/** What parseArgs throws, with the options that there are where it met one that there is not. */
function complaint(error: unknown, names: readonly string[]): string {
  const { code, message } = error as Error & { code?: string };
  const text = message.replace(/^./, (letter) => letter.toLowerCase()).replace(/\.$/, '');
  if (code !== 'ERR_PARSE_ARGS_UNKNOWN_OPTION') return text;
  return `${text.split('. ')[0]}; there are ${names.map((name) => `--${name}`).join(', ')}`;
}

/** A UsageError is for the user; anything else is a fault of this program, and says where it happened. */
function oneLine(error: unknown): string {
  if (error instanceof UsageError) return onLine(error.message);
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  const where = /\bat .*$/m.exec(stack ?? '')?.[0];
  return `${onLine(message)} (a fault of kvmclock itself${where === undefined ? '' : `, ${where}`})`;
}

/** Without what would break the line, or move a terminal's cursor: a file's name may hold anything. */
const onLine = (text: string): string => text.replaceAll(/\p{Cc}+/gu, ' ');

/** An argument as an error message shows it: in quotes, control characters escaped, cut where it is long. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}...` : text);
}

function say(io: Io, text: string): number {
  io.stdout.write(text);
  return EXIT_OK;
}
