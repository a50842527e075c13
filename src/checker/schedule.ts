/**
 * A schedule: who moves, step by step, and how many operations each step has. With the configuration it is the whole of an
 * execution, so it is what a replay string holds.
 *
 *   STEP      one turn, or more with a * between:  ACTOR [COUNT] [-CHOICE]
 *   ACTOR     a..h vCPU 0..7's thread; i..p other threads of the hypervisor; q..z the store buffer of processor 0..9;
 *             A..Z guest thread g on vCPU v, numbered g * vCPUs + v; _ the host's time; . what is done once, by its vCPU's thread
 *   COUNT     operations of this actor, where there is more than one
 *   CHOICE    a load done early: which older value, 0 the oldest
 */

export type Actor =
  | { readonly kind: 'host'; readonly vcpu: number }
  | { readonly kind: 'other'; readonly index: number }
  | { readonly kind: 'buffer'; readonly processor: number }
  | { readonly kind: 'guest'; readonly guest: number; readonly vcpu: number }
  | { readonly kind: 'time' }
  | { readonly kind: 'once' };

export interface Turn {
  readonly actor: Actor;
  /** Operations, one after the other. */
  readonly count: number;
  /** -1: the load is done in its turn. */
  readonly choice: number;
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyz';
const HOSTS = 8;
const OTHERS = 8;
/** Operations of one schedule: a guest or a host that goes round can be told to do so for ever. A trace has some hundreds. */
const MOST_OPERATIONS = 20_000;
const TOKEN = /(\*?)([a-zA-Z_.])(\d*)(?:-(\d+))?/y;

/** By step: the turns in it. */
export type Schedule = readonly (readonly Turn[])[];

/** `vcpus`: how many the VM has. */
export function formatSchedule(schedule: Schedule, vcpus: number): string {
  return schedule.map((turns) => formatStep(turns, vcpus)).join('');
}

function formatStep(turns: readonly Turn[], vcpus: number): string {
  return turns
    .map(({ actor, count, choice }) => {
      return letterOf(actor, vcpus) + (count > 1 ? String(count) : '') + (choice >= 0 ? `-${choice}` : '');
    })
    .join('*');
}

/** Throws RangeError where the text is no schedule, or one too long to be performed. */
export function parseSchedule(text: string, vcpus: number): Schedule {
  const schedule: Turn[][] = [];
  let operations = 0;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (match === null) throw new RangeError(`no step begins with ${JSON.stringify(text.slice(at, at + 8))}`);
    const [, joined, letter, count, choice] = match;
    const turn: Turn = {
      actor: actorOf(letter!, vcpus),
      count: count === '' ? 1 : Number(count),
      choice: choice === undefined ? -1 : Number(choice),
    };
    operations += turn.count;
    if (operations > MOST_OPERATIONS) throw new RangeError(`it has more than ${MOST_OPERATIONS} operations`);
    if (joined === '*' && schedule.length > 0) schedule.at(-1)!.push(turn);
    else schedule.push([turn]);
  }
  return schedule;
}

function letterOf(actor: Actor, vcpus: number): string {
  switch (actor.kind) {
    case 'host':
      return LETTERS[actor.vcpu]!;
    case 'other':
      return LETTERS[HOSTS + actor.index]!;
    case 'buffer':
      return LETTERS[HOSTS + OTHERS + actor.processor]!;
    case 'guest':
      return LETTERS[actor.guest * vcpus + actor.vcpu]!.toUpperCase();
    case 'time':
      return '_';
    case 'once':
      return '.';
  }
}

function actorOf(letter: string, vcpus: number): Actor {
  if (letter === '_') return { kind: 'time' };
  if (letter === '.') return { kind: 'once' };
  const index = LETTERS.indexOf(letter);
  if (index < 0) {
    const place = LETTERS.indexOf(letter.toLowerCase());
    return { kind: 'guest', guest: Math.floor(place / vcpus), vcpu: place % vcpus };
  }
  if (index < HOSTS) return { kind: 'host', vcpu: index };
  if (index < HOSTS + OTHERS) return { kind: 'other', index: index - HOSTS };
  return { kind: 'buffer', processor: index - HOSTS - OTHERS };
}
