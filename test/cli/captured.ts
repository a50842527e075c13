/** A command run with its output caught: in this process by its interface, or as the program itself. */
import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import type { Io } from '../../src/cli/command.ts';
import type { Commands } from '../../src/cli/commands.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { dispatch } from '../../src/cli/dispatch.ts';

export interface Captured {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Of the program itself, also what ended it where that was a signal. */
export interface Ended extends Captured {
  readonly signal: NodeJS.Signals | null;
}

/** Runs `kvmclock ...argv` in this process. */
export async function captured(argv: readonly string[], commands: Commands = COMMANDS): Promise<Captured> {
  const texts = { stdout: '', stderr: '' };
  const output = (stream: 'stdout' | 'stderr') => ({
    isTerminal: false,
    colour: false,
    write: (text: string) => {
      texts[stream] += text;
    },
  });
  const io: Io = { stdout: output('stdout'), stderr: output('stderr') };
  const status = await dispatch(argv, commands, io);
  return { status, ...texts };
}

export const MAIN = path.join(import.meta.dirname, '../../src/cli/main.ts');

/** Runs the program, as `node src/cli/main.ts ...argv`. `meanwhile` is given the process once it runs. */
export function program(argv: readonly string[], meanwhile?: (child: ChildProcess) => void): Promise<Ended> {
  const child = spawn(process.execPath, [MAIN, ...argv], { env: { ...process.env, NODE_OPTIONS: '' } });
  const texts = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      texts[stream] += text;
    });
  }
  meanwhile?.(child);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => resolve({ status, signal, ...texts }));
  });
}
