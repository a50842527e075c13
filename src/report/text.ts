/** Plain text for people: aligned tables, times with a unit, colour and a progress line where there is a terminal to show them. */

/** Where text goes. `isTerminal`: a person sees it, on what can rewrite a line, so progress may be shown; `colour`: in colour, if they have not asked for none. */
export interface Output {
  write(text: string): void;
  readonly isTerminal: boolean;
  readonly colour: boolean;
}

const STYLES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 } as const;

export type Style = keyof typeof STYLES;

/** `text` in `style` where the output shows colour, else as it is. */
export function styled(output: Output, style: Style, text: string): string {
  return output.colour ? `\x1b[${STYLES[style]}m${text}\x1b[0m` : text;
}

/** Whether a stream is a terminal that can rewrite a line: with TERM=dumb it cannot. */
export function canRewrite(isTty: boolean, { TERM }: NodeJS.ProcessEnv): boolean {
  return isTty && TERM !== 'dumb';
}

/** https://no-color.org: any value but the empty one turns colour off. */
export function wantsColour(isTerminal: boolean, { NO_COLOR }: NodeJS.ProcessEnv): boolean {
  return isTerminal && !NO_COLOR;
}

export type Align = 'left' | 'right';

/**
 * Rows of cells as lines, two spaces between columns and no spaces at the ends of lines. Column i is aligned as
 * `align[i]` says (left where it says nothing); a row may be shorter than others. Cells may hold styled text.
 */
export function table(rows: readonly (readonly string[])[], align: readonly Align[] = []): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, shownWidth(cell));
    });
  }
  const lines = rows.map((row) =>
    row
      .map((cell, column) => {
        const room = ' '.repeat(widths[column]! - shownWidth(cell));
        return align[column] === 'right' ? room + cell : cell + room;
      })
      .join('  ')
      .trimEnd(),
  );
  return lines.map((line) => line + '\n').join('');
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the escape is what is looked for
const ESCAPE = /\x1b\[[0-9;]*m/g;

function shownWidth(text: string): number {
  return [...text.replaceAll(ESCAPE, '')].length;
}

/** A whole number with its digits in groups of three: 10 000 000. */
export function grouped(value: number | bigint): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ' ');
}

/** A line that is rewritten in place on a terminal, and nothing at all elsewhere. */
export interface Progress {
  show(text: string): void;
  /** Takes the line away; to be called before anything else is written there. */
  clear(): void;
}

/** Around a line that is cut at a narrow terminal's edge: on the next line it could not be taken away again. */
const UNWRAPPED = '\x1b[?7l';
const WRAPPED = '\x1b[?7h';

export function progressOn(output: Output): Progress {
  if (!output.isTerminal) return { show() {}, clear() {} };
  let shown = false;
  return {
    show(text) {
      output.write(`\r\x1b[2K${UNWRAPPED}${text}${WRAPPED}`);
      shown = true;
    },
    clear() {
      if (shown) output.write('\r\x1b[2K');
      shown = false;
    },
  };
}
