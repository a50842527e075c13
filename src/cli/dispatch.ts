/** From the arguments to one command's run: which command, its options parsed, its help, its errors as one line. */
import { readFileSync } from 'node:fs';
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

/** Runs what `argv` (without node and the script) asks for. Returns the exit status; never throws. */
export async function dispatch(argv: readonly string[], commands: Commands, io: Io): Promise<number> {
  const named = argv[0] !== undefined && !argv[0].startsWith('-');
  const name = named ? argv[0]! : DEFAULT_COMMAND;
  try {
    if (!named && (argv[0] === '--help' || argv[0] === '-h')) return say(io, overview(commands));
    if (!named && (argv[0] === '--version' || argv[0] === '-V')) return say(io, version() + '\n');
    const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
    if (entry === undefined) {
      io.stderr.write(`kvmclock: no command ${quoted(name)}; there are ${Object.keys(commands).join(', ')}\n`);
      return EXIT_USAGE;
    }
    const { command } = await entry.load();
    const args = parse(command, named ? argv.slice(1) : argv);
    if (args === 'help') return say(io, commandHelp(entry.summary, command));
    return await command.run(args, io);
  } catch (error) {
    io.stderr.write(`kvmclock ${name}: ${oneLine(error)}\n`);
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
  const first = message.split(/\.?\n|\. /)[0]!.replace(/^./, (letter) => letter.toLowerCase());
  if (code !== 'ERR_PARSE_ARGS_UNKNOWN_OPTION') return first.replace(/\.$/, '');
  return `${first}; there are ${names.map((name) => `--${name}`).join(', ')}`;
}

/** A UsageError is for the user; anything else is a fault of this program, and says where it happened. */
function oneLine(error: unknown): string {
  if (error instanceof UsageError) return error.message.replaceAll('\n', ' ');
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  const where = /\bat .*$/m.exec(stack ?? '')?.[0];
  return `${message.replaceAll('\n', ' ')} (a fault of kvmclock itself${where === undefined ? '' : `, ${where}`})`;
}

/** An argument as an error message shows it: in quotes, control characters escaped, cut where it is long. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}...` : text);
}

function say(io: Io, text: string): number {
  io.stdout.write(text);
  return EXIT_OK;
}

function version(): string {
  const packageFile = new URL('../../package.json', import.meta.url); // the same from src/cli and from dist/cli
  return (JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string }).version;
}
