/** The help texts: of the command line as a whole, and of one command. */
import { table } from '../report/text.ts';
import { COMMON_OPTIONS, type Command, type Option } from './command.ts';
import { type Commands, DEFAULT_COMMAND } from './commands.ts';

/** Of all commands, or of those of a group, whose name is then `path`. */
export function overview(commands: Commands, path: readonly string[] = []): string {
  const rows = Object.entries(commands).map(([name, { summary }]) => [
    `  ${name}`,
    path.length === 0 && name === DEFAULT_COMMAND ? `${summary} (the default)` : summary,
  ]);
  if (path.length > 0) return `Usage: kvmclock ${path.join(' ')} COMMAND [OPTIONS]\n\nCommands:\n${table(rows)}`;
  return `kvmclock: KVM's paravirtual clock, read, kept and checked

Usage: kvmclock [COMMAND] [OPTIONS]

Commands:
${table(rows)}
Options:
${table([
  ['  -h, --help', 'print this; after a command, what that command takes'],
  ['  -V, --version', 'print the version'],
])}
Every command takes --json. Exit status: 0 done or sound, 1 not sound, 2 bad input or could not tell, 130 interrupted.
`;
}

export function commandHelp(summary: string, command: Command): string {
  const rows = Object.entries({ ...command.options, ...COMMON_OPTIONS }).map(([name, option]) =>
    optionRow(name, option),
  );
  const details = command.details === '' ? '' : `\n${command.details.trim()}\n`;
  return `kvmclock ${command.usage}\n\n${summary[0]!.toUpperCase()}${summary.slice(1)}.\n${details}\nOptions:\n${table(rows)}`;
}

function optionRow(name: string, option: Option): string[] {
  const short = option.short === undefined ? '    ' : `-${option.short}, `;
  const value = option.type === 'string' ? ` ${option.value ?? 'VALUE'}` : '';
  return [`  ${short}--${name}${value}`, option.help];
}
