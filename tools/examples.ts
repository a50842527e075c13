/**
 * The examples in a Markdown file, and when an output is the one that the text shows.
 *
 * ```sh        every line is a command; it must succeed
 * ```console   lines that begin with "$ " are commands ("> " continues one); what follows is what they print, both streams
 * ```ts        a program, type-checked and run, that imports 'kvmclock'
 *
 * After the language: `file=NAME` writes the block (of any language) to that file, for the examples after it;
 * `needs=kvm`, `needs=live` or `needs=spin` runs it only where there is such a thing; `not-run: REASON` does not run it.
 *
 * Output and text are the same where they are after this: a number is any number, a time in any unit any time, and
 * spaces are one space. "..." stands for any text, or on its own line for any lines. Where a command fails, its exit
 * status is the last line: "(exit status 2)".
 */

export interface Block {
  readonly line: number;
  readonly language: string;
  readonly file: string | undefined;
  readonly needs: string | undefined;
  readonly notRun: string | undefined;
  readonly text: string;
}

export interface Command {
  readonly line: number;
  readonly command: string;
  /** Undefined where the text shows none: in a `sh` block. */
  readonly output: readonly string[] | undefined;
}

const RUN = ['sh', 'console', 'ts'];
const NEEDS = ['kvm', 'live', 'spin'];
/** Other names of those, which would go by unrun. */
const MISNAMED: Readonly<Record<string, string>> = {
  bash: 'sh',
  shell: 'sh',
  zsh: 'sh',
  'shell-session': 'console',
  typescript: 'ts',
  js: 'ts',
  javascript: 'ts',
  mjs: 'ts',
};

/** The fenced blocks of a Markdown text. Throws where a block says of itself what is not in the list above. */
export function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = [];
  const lines = markdown.split('\n');
  for (let at = 0; at < lines.length; at++) {
    const fence = /^( *)(`{3,}|~{3,})\s*(.*)$/.exec(lines[at]!);
    if (fence === null) continue;
    const [, indent, marks, info] = fence as unknown as [string, string, string, string];
    const start = at + 1;
    do at++;
    while (at < lines.length && lines[at]!.trim() !== marks);
    const text = lines.slice(start, at).map((line) => line.slice(indent.length));
    blocks.push({ line: start, ...infoOf(info, start), text: text.map((line) => `${line}\n`).join('') });
  }
  return blocks;
}

function infoOf(info: string, line: number): Pick<Block, 'language' | 'file' | 'needs' | 'notRun'> {
  const [words = '', reason] = info.split(/\bnot-run:/, 2);
  const [language = '', ...options] = words.split(/\s+/).filter((word) => word !== '');
  const found: Record<string, string> = {};
  for (const option of options) {
    const [name = '', value = ''] = option.split('=', 2);
    if ((name !== 'file' && name !== 'needs') || value === '') {
      throw new Error(`line ${line}: ${JSON.stringify(option)} says nothing here; there is file=, needs= and not-run:`);
    }
    found[name] = value;
  }
  const { file, needs } = found;
  if (needs !== undefined && !NEEDS.includes(needs)) {
    throw new Error(`line ${line}: there is ${NEEDS.map((name) => `needs=${name}`).join(', ')}`);
  }
  if (MISNAMED[language] !== undefined) {
    throw new Error(`line ${line}: a ${language} block is not run; call it ${MISNAMED[language]}`);
  }
  const notRun = reason?.trim();
  if (notRun === '') throw new Error(`line ${line}: not-run: without a reason`);
  if (notRun !== undefined && !RUN.includes(language))
    throw new Error(`line ${line}: a ${language} block is not run anyway`);
  return { language, file, needs, notRun };
}

/** The commands of a `sh` or `console` block. */
export function commandsOf(block: Block): Command[] {
  const commands: { line: number; command: string; output: string[] | undefined }[] = [];
  block.text.split('\n').forEach((text, index) => {
    const line = block.line + 1 + index;
    const last = commands.at(-1);
    if (block.language === 'sh') {
      if (text.trim() !== '' && !text.startsWith('#')) commands.push({ line, command: text, output: undefined });
    } else if (text.startsWith('$ ')) commands.push({ line, command: text.slice(2), output: [] });
    else if (last === undefined) {
      if (text !== '') throw new Error(`line ${line}: output of no command: ${text}`);
    } else if (text.startsWith('> ') && last.output!.length === 0) last.command += `\n${text.slice(2)}`;
    else last.output!.push(text);
  });
  if (block.language === 'console' && commands.length === 0) throw new Error(`line ${block.line}: no command in it`);
  return commands;
}

/** Whether a command printed what the text shows. */
export function sameOutput(shown: readonly string[], printed: string): boolean {
  return sameLines(shown.join('\n').trimEnd().split('\n').map(plain), printed.trimEnd().split('\n').map(plain));
}

function sameLines(shown: readonly string[], printed: readonly string[]): boolean {
  const [first, ...rest] = shown;
  if (first === undefined) return printed.length === 0;
  if (first === '...') {
    return Array.from({ length: printed.length + 1 }, (_, skip) => skip).some((skip) =>
      sameLines(rest, printed.slice(skip)),
    );
  }
  return printed.length > 0 && sameLine(first, printed[0]!) && sameLines(rest, printed.slice(1));
}

function sameLine(shown: string, printed: string): boolean {
  const parts = shown.split('...').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 's').test(printed);
}

/** 12, -0.5, 10 000 000, 0x7f, v26.10.0, 03:04:05: one number each. Digits within a word (x86, u64) are none. */
const NUMBER =
  /(?:(?<=\bv)|(?<![\w.]))[-+]?(?:0x[0-9a-f]+|\d{1,3}(?: \d{3})+(?![\d.])|\d+(?:[.:,]\d+)*(?:e[-+]?\d+)?)/gi;
const TIME = /#(?: ?)(?:ns|us|ms|s|min|h|d)\b(?:,? #(?: ?)(?:ns|us|ms|s|min|h|d)\b)*/g;

/** A line with what may differ from run to run taken out. */
export function plain(line: string): string {
  return line.replace(NUMBER, '#').replace(TIME, '#t').replace(/\s+/g, ' ').trim();
}
