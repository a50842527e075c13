/** Spin, where it is installed with a C compiler: what it finds in a model that `kvmclock check --export promela` has written. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const MEMORY_MIB = 8192;
/** Bytes of pan's output that are read at most: it says little. */
const OUTPUT_BYTES = 2 ** 24;

/** What is missing here for Spin to be run, as a sentence; false where nothing is. */
export function spinIsMissing(): false | string {
  const missing = ['spin', 'gcc'].find((command) => spawnSync(command, ['--version']).error !== undefined);
  return missing !== undefined && `${missing} is not here; Debian's package is called so too`;
}

export interface SpinVerdict {
  /** Every property that is violated and everything that was seen to happen, sorted. */
  readonly shown: readonly string[];
  readonly states: number;
  /** Why the search says nothing: it was cut off, or an assertion does not hold. */
  readonly failure: string | undefined;
}

/** Has Spin make a verifier of `promela`, in a folder of its own, and runs that. `-O0` where compiling costs more than searching. */
export async function spinVerdict(promela: string, optimize: '-O0' | '-O1' = '-O0'): Promise<SpinVerdict> {
  const cwd = mkdtempSync(path.join(tmpdir(), 'kvmclock-spin-'));
  try {
    writeFileSync(path.join(cwd, 'model.pml'), promela);
    await run('spin', ['-a', 'model.pml'], { cwd });
    const defines = ['-DSAFETY', '-DNOREDUCE', '-DNOBOUNDCHECK', '-DNOCLAIM', `-DMEMLIM=${MEMORY_MIB}`];
    await run('gcc', [optimize, '-w', ...defines, '-o', 'pan', 'pan.c'], { cwd });
    const { stdout } = await run('./pan', ['-m100000', '-w20', '-n'], { cwd, maxBuffer: OUTPUT_BYTES });
    return verdictIn(stdout);
  } finally {
    rmSync(cwd, { recursive: true });
  }
}

/** Reads what pan prints. */
export function verdictIn(output: string): SpinVerdict {
  const shown = [...output.matchAll(/^kvmclock: ([\w-]+)$/gm)].map((match) => match[1]!).sort();
  const failure =
    /^(pan:1: .*|error: .*|.*max search depth too small.*|.*out of memory.*|.*Search not completed.*)$/m.exec(output);
  const states = Number(/^ *([\d.e+]+) states, stored/m.exec(output)?.[1] ?? Number.NaN);
  const failed = failure?.[1] ?? (/errors: 0$/m.test(output) ? undefined : 'pan did not come to its end');
  return { shown, states, failure: failed };
}
