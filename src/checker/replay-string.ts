/**
 * An execution in one line that may stand in a URL: the configuration and its schedule, with `~` between the parts.
 *
 *   rfc~kvm~today~unstable~sc~v2t1c1~.*b33b2b2b19bbbbbb2b2b27BBBBBBBB
 *
 * The sixth part: v vCPUs, t threads, c calls, then only what is not the default: w updaters, u updates of each, k ticks, f or m the kernel's reads as a
 * fallback or mixed, e or l loads in any order or around a late TSC read. An eighth part names the mutation, where there is one.
 */
import { READERS, type ReaderName } from '../guest/readers.ts';
import {
  type Configuration,
  DEFAULT_CONFIGURATION,
  HOSTS,
  type Kernel,
  MEMORIES,
  UPDATES,
  WRITERS,
} from './scenarios.ts';
import { formatSchedule, parseSchedule, type Schedule } from './schedule.ts';
import type { Early } from './windows.ts';

const KERNEL_LETTERS: readonly (readonly [string, Kernel])[] = [
  ['f', 'fallback'],
  ['m', 'mixed'],
];
const EARLY_LETTERS: readonly (readonly [string, Early])[] = [
  ['e', 'any-order'],
  ['l', 'late-tsc'],
];
const SIZES = /^v(\d)t(\d)c(\d)(?:w(\d))?(?:u(\d))?(?:k(\d))?([fm])?([el])?$/;

/** What a replay string says. */
export interface Replay {
  readonly configuration: Configuration;
  readonly schedule: Schedule;
}

export function formatReplay({ configuration, schedule }: Replay): string {
  const { reader, host, writer, update, memory, vcpus, mutation } = configuration;
  const parts = [reader, host, writer, update, memory, sizesOf(configuration), formatSchedule(schedule, vcpus)];
  return [...parts, ...(mutation === undefined ? [] : [mutation])].join('~');
}

/** Throws RangeError, with what is wrong, where the text is no replay string. */
export function parseReplay(text: string): Replay {
  const parts = text.split('~');
  if (parts.length !== 7 && parts.length !== 8) throw new RangeError(`it has ${parts.length} parts between "~", not 7`);
  const [reader, host, writer, update, memory, sizes, schedule, mutation] = parts as [
    string,
    string,
    string,
    string,
    string,
    string,
    string,
    string?,
  ];
  const configuration: Configuration = {
    ...DEFAULT_CONFIGURATION,
    reader: oneOf('reader', reader, Object.keys(READERS) as ReaderName[]),
    host: oneOf('host', host, HOSTS),
    writer: oneOf('writer', writer, WRITERS),
    update: oneOf('update', update, UPDATES),
    memory: oneOf('memory', memory, MEMORIES),
    ...parseSizes(sizes),
    ...(mutation === undefined ? {} : { mutation }),
  };
  return { configuration, schedule: parseSchedule(schedule, configuration.vcpus) };
}

function sizesOf(configuration: Configuration): string {
  const { vcpus, threads, calls, kernel, early } = configuration;
  const letter = (list: readonly (readonly [string, string])[], value: string | undefined): string =>
    list.find(([, name]) => name === value)?.[0] ?? '';
  const unlessDefault = (name: 'updaters' | 'updates' | 'ticks', prefix: string): string =>
    configuration[name] === DEFAULT_CONFIGURATION[name] ? '' : `${prefix}${configuration[name]}`;
  const more = unlessDefault('updaters', 'w') + unlessDefault('updates', 'u') + unlessDefault('ticks', 'k');
  return `v${vcpus}t${threads}c${calls}${more}${letter(KERNEL_LETTERS, kernel)}${letter(EARLY_LETTERS, early)}`;
}

function parseSizes(text: string): Partial<Configuration> {
  const match = SIZES.exec(text);
  if (match === null) throw new RangeError(`its sizes are ${JSON.stringify(text)}, not like v2t1c1`);
  const [, vcpus, threads, calls, updaters, updates, ticks, kernel, early] = match;
  const earlyName = EARLY_LETTERS.find(([letter]) => letter === early)?.[1];
  return {
    vcpus: Number(vcpus),
    threads: Number(threads),
    calls: Number(calls),
    ...(updaters === undefined ? {} : { updaters: Number(updaters) }),
    ...(updates === undefined ? {} : { updates: Number(updates) }),
    ...(ticks === undefined ? {} : { ticks: Number(ticks) }),
    kernel: KERNEL_LETTERS.find(([letter]) => letter === kernel)?.[1] ?? 'none',
    ...(earlyName === undefined ? {} : { early: earlyName }),
  };
}

function oneOf<Name extends string>(what: string, text: string, names: readonly Name[]): Name {
  const found = names.find((name) => name === text);
  if (found === undefined)
    throw new RangeError(`no ${what} is called ${JSON.stringify(text)}; there are ${names.join(', ')}`);
  return found;
}
