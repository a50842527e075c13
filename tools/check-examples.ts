/**
 * Runs every example of README.md, CONTRIBUTING.md and docs/ and compares what it prints with what the text shows; examples.ts has the
 * rules. Each file's examples run one after the other in a copy of the repository, without node_modules.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, globSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openKvm } from '../src/machine/kvm/kvm.ts';
import { openLive } from '../src/machine/live.ts';
import { isUnavailable } from '../src/machine/sys.ts';
import { type Block, blocksOf, type Command, commandsOf, sameOutput } from './examples.ts';
import { spinIsMissing } from './spin.ts';

const root = path.join(import.meta.dirname, '..');
const TIMEOUT_MS = 120_000;

/** One example: what came of it. `failed` says how; `skipped` why it was not run. */
export interface Outcome {
  readonly example: string;
  readonly failed?: string;
  readonly skipped?: string;
}

/** Runs the examples of one Markdown text. `name` is what they are called by. */
export function runExamples(name: string, markdown: string): Outcome[] {
  const folder = mkdtempSync(path.join(tmpdir(), 'kvmclock-examples-'));
  try {
    return inFolder(folder, name, markdown);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function inFolder(folder: string, name: string, markdown: string): Outcome[] {
  let blocks: Block[];
  try {
    blocks = blocksOf(markdown);
  } catch (error) {
    return [{ example: name, failed: (error as Error).message }];
  }
  const workplace = makeWorkplace(folder);
  const outcomes: Outcome[] = [];
  for (const block of blocks) {
    const example = `${name}:${block.line}`;
    if (block.file !== undefined) writeFileSync(path.join(workplace, block.file), block.text);
    if (!['sh', 'console', 'ts'].includes(block.language)) continue;
    const skipped = block.notRun ?? (block.needs === undefined ? undefined : missing(block.needs));
    if (skipped !== undefined) outcomes.push({ example, skipped });
    else if (block.language === 'ts') outcomes.push(runProgram(workplace, example, block));
    else outcomes.push(...runBlock(workplace, name, block));
  }
  return outcomes;
}

/** Of the repository, what examples need not see: they could break it, or it is big. */
const LEFT_OUT = ['.git', 'node_modules', 'dist', 'coverage'];

/** A copy of the repository, so that nothing that an example does can reach the one that it came from. */
function makeWorkplace(folder: string): string {
  const workplace = path.join(folder, 'work');
  const bin = path.join(folder, 'bin');
  mkdirSync(workplace);
  mkdirSync(bin);
  for (const entry of readdirSync(root)) {
    if (!LEFT_OUT.includes(entry)) cpSync(path.join(root, entry), path.join(workplace, entry), { recursive: true });
  }
  const main = path.join(workplace, 'src/cli/main.ts');
  writeFileSync(path.join(bin, 'kvmclock'), `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`, { mode: 0o755 });
  return workplace;
}

function runBlock(workplace: string, name: string, block: Block): Outcome[] {
  let commands: Command[];
  try {
    commands = commandsOf(block);
  } catch (error) {
    return [{ example: `${name}:${block.line}`, failed: (error as Error).message }];
  }
  return commands.map(({ line, command, output }) => {
    const example = `${name}:${line}: ${command.split('\n')[0]}`;
    const printed = run(workplace, command);
    if (output === undefined) {
      return /\(exit status \S+\)\n$/.test(printed) ? { example, failed: `it failed:\n${printed}` } : { example };
    }
    if (sameOutput(output, printed)) return { example };
    return { example, failed: `the text shows:\n${output.join('\n').trimEnd()}\nit prints:\n${printed.trimEnd()}` };
  });
}

function runProgram(workplace: string, example: string, block: Block): Outcome {
  const file = path.join(workplace, block.file ?? `example-${block.line}.ts`);
  writeFileSync(file, block.text);
  const project = {
    extends: './tsconfig.json',
    compilerOptions: {
      paths: { kvmclock: ['./src/index.ts'] },
      typeRoots: [path.join(root, 'node_modules/@types')],
      noUnusedLocals: false,
    },
    include: [path.basename(file)],
  };
  writeFileSync(path.join(workplace, 'example.tsconfig.json'), JSON.stringify(project));
  const checked = run(workplace, 'tsc -p example.tsconfig.json --noEmit');
  if (checked !== '') return { example, failed: `it does not type-check:\n${checked}` };
  const preload = './tools/from-source.ts';
  const printed = run(workplace, `node --disable-warning=ExperimentalWarning --import '${preload}' '${file}'`);
  return /\(exit status \S+\)\n$/.test(printed) ? { example, failed: `it failed:\n${printed}` } : { example };
}

/** Both streams of a command, and its exit status where that is not 0. */
function run(workplace: string, command: string): string {
  const bin = path.join(path.dirname(workplace), 'bin');
  const { PATH = '' } = process.env;
  const searched = [bin, path.join(root, 'node_modules/.bin'), PATH].join(path.delimiter);
  const { status, signal, stdout } = spawnSync('bash', ['-c', `exec 2>&1\n${command}`], {
    cwd: workplace,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: TIMEOUT_MS,
    env: { ...process.env, PATH: searched, NO_COLOR: '1' },
  });
  return status === 0 ? stdout : `${stdout}(exit status ${status ?? signal})\n`;
}

/** Why there is no such thing here; undefined where there is. */
function missing(needs: string): string | undefined {
  if (needs === 'spin') return spinIsMissing() || undefined;
  const found = needs === 'kvm' ? openKvm() : openLive();
  if (isUnavailable(found)) return found.unavailable;
  if ('close' in found) found.close();
  return undefined;
}

/** The files with examples, below the repository's root. */
export const DOCUMENTS = ['README.md', 'CONTRIBUTING.md', ...globSync('docs/*.md', { cwd: root }).sort()];

if (import.meta.main) {
  const files = process.argv.length > 2 ? process.argv.slice(2) : DOCUMENTS;
  const outcomes = files.flatMap((file) => runExamples(file, readFileSync(path.join(root, file), 'utf8')));
  for (const { example, failed, skipped } of outcomes) {
    console.log(
      failed !== undefined
        ? `FAILED ${example}\n${failed}\n`
        : `${skipped === undefined ? 'ok' : 'skipped'} ${example}`,
    );
    if (skipped !== undefined) console.log(`  ${skipped}`);
  }
  if (outcomes.some(({ failed }) => failed !== undefined)) process.exit(1);
  console.log(`examples: ${outcomes.filter(({ skipped }) => skipped === undefined).length} of ${outcomes.length} run`);
}
