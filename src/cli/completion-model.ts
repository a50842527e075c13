/** What a shell may offer on this command line, from the table of commands and their options: no list of its own. */
import { READERS } from '../guest/readers.ts';
import { COMMON_OPTIONS, type Command, type Option } from './command.ts';
import { type Commands, DEFAULT_COMMAND } from './commands.ts';

/** What may stand in a place: one of some words, the name of a file or a folder, or what no shell can know. */
export type Offer = readonly string[] | 'file' | 'folder' | 'unknown';

export interface OptionOffer {
  /** `--host`, and its short form, as `-h`. */
  readonly names: readonly string[];
  readonly help: string;
  /** Of a string option, what may follow it. */
  readonly value: Offer | undefined;
}

/** One command, or a group of them. */
export interface Place {
  /** The words that lead there, with a space between: `vm race`; of the program by itself, ``. */
  readonly path: string;
  readonly commands: readonly { readonly name: string; readonly summary: string }[];
  readonly options: readonly OptionOffer[];
  readonly argument: Offer;
}

const HELP: OptionOffer = { names: ['--help', '-h'], help: COMMON_OPTIONS.help.help, value: undefined };
const VERSION: OptionOffer = { names: ['--version', '-V'], help: 'print the version', value: undefined };

/** Every place on the command line: the program itself first, which is also its default command. */
export async function places(commands: Commands): Promise<Place[]> {
  const below = await placesBelow([], commands);
  const byDefault = below.find(({ path }) => path === DEFAULT_COMMAND);
  const options = [...(byDefault?.options ?? [HELP]), VERSION];
  return [{ path: '', commands: listed(commands), options, argument: 'unknown' }, ...below];
}

async function placesBelow(path: readonly string[], commands: Commands): Promise<Place[]> {
  const found: Place[] = [];
  for (const [name, entry] of Object.entries(commands)) {
    const here = [...path, name];
    if ('commands' in entry) {
      found.push({ path: here.join(' '), commands: listed(entry.commands), options: [HELP], argument: 'unknown' });
      found.push(...(await placesBelow(here, entry.commands)));
    } else found.push(placeOf(here.join(' '), (await entry.load()).command));
  }
  return found;
}

function listed(commands: Commands): Place['commands'] {
  return Object.entries(commands).map(([name, { summary }]) => ({ name, summary }));
}

function placeOf(path: string, command: Command): Place {
  const options = Object.entries({ ...command.options, ...COMMON_OPTIONS }).map(([name, option]: [string, Option]) => ({
    names: [`--${name}`, ...(option.short === undefined ? [] : [`-${option.short}`])],
    help: option.help,
    value: option.type === 'string' ? (option.values ?? named(option.value ?? '')) : undefined,
  }));
  const argument = command.usage.slice(path.length).trim().split(' ')[0]!;
  return { path, commands: [], options, argument: command.maxPositionals === 0 ? 'unknown' : named(argument) };
}

/** What an argument, or an option's value, may be, by the name that the usage has for it. */
function named(name: string): Offer {
  const bare = name.replace(/^\[|\]$/g, '');
  if (bare.includes('|')) return bare.split('|');
  if (bare === 'READER') return Object.keys(READERS);
  if (bare === 'FILE' || bare === 'IMAGE') return 'file';
  return bare === 'DIR' ? 'folder' : 'unknown';
}
