/**
 * What a command is. Each is one file that exports `command`; the table in commands.ts names it, and dispatch.ts parses
 * the arguments, prints the help and turns a UsageError into one line and exit status 2.
 */
import type { ParseArgsConfig, parseArgs } from 'node:util';
import type { Output } from '../report/text.ts';

/**
 * One option: what node:util's parseArgs takes, and what the help says of it. `value` is the name that the help gives to
 * the value of a string option; `values`: all that it may be, for a shell to complete, where `value` does not say so.
 */
export interface Option {
  readonly type: 'boolean' | 'string';
  readonly short?: string;
  readonly multiple?: boolean;
  readonly default?: string | boolean | string[] | boolean[];
  readonly value?: string;
  readonly values?: readonly string[];
  readonly help: string;
}

export type Options = Readonly<Record<string, Option>>;

/** Every command takes these, by itself. */
export const COMMON_OPTIONS = {
  json: { type: 'boolean', help: 'print one JSON object and nothing else' },
  help: { type: 'boolean', short: 'h', help: 'print this' },
} as const satisfies Options;

type Parsed<O extends Options> = ReturnType<
  typeof parseArgs<{ options: O & NonNullable<ParseArgsConfig['options']>; strict: true }>
>['values'];

/** The arguments as parsed. `values` holds each option that was given or has a default, with its type. */
export interface Args<O extends Options> {
  readonly values: Parsed<O>;
  readonly positionals: readonly string[];
  readonly json: boolean;
}

/** What a command may touch of the process that runs it, so that a test can stand in for it. */
export interface Io {
  readonly stdout: Output;
  readonly stderr: Output;
}

export interface Command<O extends Options = Options> {
  /** What follows `kvmclock` on the help's first line: `decode FILE [--offset N | --scan] [--tsc N]`. */
  readonly usage: string;
  /** The help's paragraphs, under the summary and over the options. Lines of at most 100 characters. */
  readonly details: string;
  readonly options: O;
  /** Most arguments that it takes without an option's name. */
  readonly maxPositionals: number;
  /** Returns the exit status. Throws UsageError where the user asked for what cannot be done. */
  run(args: Args<O>, io: Io): Promise<number>;
}

/** Keeps the options' types, so that `run` sees `values` typed. */
export function defineCommand<const O extends Options>(command: Command<O>): Command<O> {
  return command;
}

/**
 * Bad input: what was tried, with what, why it failed and what to do, on one line. The command's name is put before it.
 * Exit status 2, and no stack trace.
 */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export const EXIT_OK = 0;
export const EXIT_USAGE = 2;
