/** The view *The race*: a configuration is chosen, the checker explores it here in the page, and what it finds is stepped through. */
import type { Finding } from '../../src/checker/check.ts';
import { configurationText, mostTelling } from '../../src/checker/explain.ts';
import type { Mutants } from '../../src/checker/mutants.ts';
import { ALWAYS, SOMETIMES } from '../../src/checker/properties.ts';
import { parseReplay } from '../../src/checker/replay-string.ts';
import { type Configuration, DEFAULT_CONFIGURATION } from '../../src/checker/scenarios.ts';
import { byId, element, setText } from '../dom.ts';
import { messageOf } from '../worker.ts';
import type { TimedVerdict } from './check-worker.ts';
import { offer, offerHosts, offerMemories, offerUpdates, offerWriters, READER_NAMES } from './choices.ts';
import { Explorer } from './explorer.ts';
import { offerExport } from './export.ts';
import { TraceView } from './trace.ts';

/** The reader that was posted in December 2014, under the KVM of that month. */
const THREAD: Configuration = { ...DEFAULT_CONFIGURATION, reader: 'rfc', writer: '2014' };

let view: RaceView | undefined;

export function startRace(_: HTMLElement, rest: string): void {
  view ??= new RaceView();
  void view.show(rest);
}

/** What a mutation makes of the shipped functions: they are loaded when one is asked for. */
async function mutantsOf(configuration: Configuration): Promise<Mutants | undefined> {
  if (configuration.mutation === undefined) return undefined;
  const { mutantsIn } = await import('../../src/checker/mutations/mutations.ts');
  return mutantsIn(configuration);
}

class RaceView {
  readonly #explorer = new Explorer();
  readonly #trace = new TraceView();
  readonly #cancel = byId<HTMLButtonElement>('race-cancel');
  readonly #status = byId('race-status');
  readonly #reader = offer('race-reader', READER_NAMES);
  readonly #host = offerHosts('race-host');
  readonly #writer = offerWriters('race-writer');
  readonly #update = offerUpdates('race-update');
  readonly #memory = offerMemories('race-memory');
  readonly #calls = offer('race-calls', ['1', '2']);
  /** The replay string of the address. */
  #asked = '';
  /** What is to be said where the address is none that has to be complained of. */
  #said = '';
  /** The configuration that the verdicts shown are of. */
  #verdictsOf = '';

  constructor() {
    this.#said = this.#status.textContent;
    this.#choose(THREAD);
    byId('race-form').addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#check(this.#chosen());
    });
    byId('race-thread').addEventListener('click', () => {
      this.#choose(THREAD);
      void this.#check(THREAD);
    });
    this.#cancel.addEventListener('click', () => this.#explorer.stop());
    offerExport(() => this.#chosen());
  }

  /** `replay`: what the address asks for; empty: nothing. */
  async show(replay: string): Promise<void> {
    this.#asked = replay;
    if (replay === '') {
      this.#trace.close();
      setText(this.#status, this.#said);
      return;
    }
    try {
      const { configuration } = parseReplay(replay);
      const mutants = await mutantsOf(configuration);
      if (this.#asked !== replay) return; // the address has gone on
      this.#trace.open(replay, mutants);
      this.#choose(configuration);
      if (configurationText({ configuration }) === this.#verdictsOf) setText(this.#status, this.#said);
      else this.#showNoVerdicts();
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#trace.close();
      setText(this.#status, `The address holds no execution that can be stepped: ${error.message}.`);
    }
  }

  #chosen(): Configuration {
    const calls = Number(this.#calls.get());
    return {
      ...DEFAULT_CONFIGURATION,
      reader: this.#reader.get(),
      host: this.#host.get(),
      writer: this.#writer.get(),
      update: this.#update.get(),
      memory: this.#memory.get(),
      calls,
      // As in the matrix: with two calls the kernel takes over where no record is stable, so that time may step back.
      kernel: calls > 1 ? 'fallback' : 'none',
    };
  }

  #choose({ reader, host, writer, update, memory, calls }: Configuration): void {
    this.#reader.set(reader);
    this.#host.set(host);
    this.#writer.set(writer);
    this.#update.set(update);
    this.#memory.set(memory);
    this.#calls.set(calls === 1 ? '1' : '2');
  }

  /** What stands there would be taken for verdicts of what the address has opened. */
  #showNoVerdicts(): void {
    this.#verdictsOf = '';
    byId('race-verdicts').hidden = true;
    this.#tell('The address holds this execution. Check explores every execution of what is chosen here.');
  }

  #tell(text: string): void {
    this.#said = text;
    setText(this.#status, text);
  }

  async #check(configuration: Configuration): Promise<void> {
    this.#cancel.disabled = false;
    setText(this.#status, 'Exploring.');
    try {
      const verdict = await this.#explorer.explore(configuration, (states, expanded) =>
        setText(
          this.#status,
          `Exploring: ${states.toLocaleString()} states found, ${expanded.toLocaleString()} explored.`,
        ),
      );
      if (verdict === undefined) this.#tell('Cancelled.');
      else this.#say(verdict);
    } catch (error) {
      this.#tell(`It cannot be explored: ${messageOf(error)}.`);
    } finally {
      this.#cancel.disabled = true;
    }
  }

  #say(verdict: TimedVerdict): void {
    const { complete, states, seconds, violated } = verdict;
    const rate = Math.round(states / Math.max(seconds, 1e-3)).toLocaleString();
    const end = complete ? 'every state explored' : 'CUT OFF by a bound: no pass';
    const count =
      violated.length === 0 ? 'nothing is violated' : `${violated.length} of ${ALWAYS.length} properties are violated`;
    this.#tell(
      `${states.toLocaleString()} states in ${seconds.toFixed(2)} s (${rate} a second), ${end}: ${complete || violated.length > 0 ? count : 'nothing found'}.`,
    );
    showVerdict(verdict);
    this.#verdictsOf = configurationText(verdict);
    setText(byId('race-verdicts-of'), this.#verdictsOf);
    const finding = mostTelling(violated);
    location.hash = finding === undefined ? '#race' : `#race/${finding.replay}`; // and so it is shown
  }
}

/** Both tables: a finding leads to its trace. */
function showVerdict({ complete, violated, witnessed }: TimedVerdict): void {
  const found = new Map<string, Finding<string>>(
    [...violated, ...witnessed].map((finding) => [finding.property, finding]),
  );
  const rows = (list: readonly { readonly name: string; readonly says: string }[], yes: string, no: string) =>
    list.map(({ name, says }) => {
      const finding = found.get(name);
      const verdict =
        finding === undefined
          ? no
          : element('a', { href: `#race/${finding.replay}` }, `${yes}: ${finding.steps} steps`);
      return element(
        'tr',
        { role: 'row' },
        element('th', { scope: 'row', role: 'rowheader' }, name),
        element('td', { role: 'cell' }, says),
        element('td', { role: 'cell' }, verdict),
      );
    });
  byId('race-always').replaceChildren(...rows(ALWAYS, 'violated', complete ? 'holds' : 'not seen'));
  byId('race-sometimes').replaceChildren(...rows(SOMETIMES, 'seen', 'not seen'));
  byId('race-verdicts').hidden = false;
}
