/** What can be chosen of a configuration, in words, as the options of a form. */
import { type Configuration, HOSTS, MEMORIES, UPDATES, WRITERS } from '../../src/checker/scenarios.ts';
import { READERS, type ReaderName } from '../../src/guest/readers.ts';
import { byId, element } from '../dom.ts';

export const READER_NAMES = Object.keys(READERS) as ReaderName[];

const HOST_WORDS: Readonly<Record<Configuration['host'], string>> = {
  none: 'none: nobody is held out',
  kvm: 'kvm: while the copy is written',
  record0: 'record0: until record 0 is written',
  all: 'all: until every record is written',
};

const WRITER_WORDS: Readonly<Record<Configuration['writer'], string>> = {
  2014: '2014: one copy, version by the host',
  2015: '2015: one copy, version by the guest',
  today: 'today: odd version, body, even version',
  xen: "xen: the same, Xen's way",
};

const UPDATE_WORDS: Readonly<Record<Configuration['update'], string>> = {
  unstable: 'unstable: one TSC is moved',
  ahead: 'ahead: the new line is ahead',
  behind: 'behind: the new line is behind',
  'set-clock': 'set-clock: KVM_SET_CLOCK',
  'wall-clock': 'wall-clock: the wall clock, read by each call',
};

const MEMORY_WORDS: Readonly<Record<Configuration['memory'], string>> = {
  sc: 'sc: stores are seen at once',
  tso: 'tso: x86, stores wait in buffers',
};

/** Puts the names into a select, with words where there are any. */
export function offer<Name extends string>(id: string, names: readonly Name[], words?: Readonly<Record<Name, string>>) {
  const select = byId<HTMLSelectElement>(id);
  for (const name of names) select.append(element('option', { value: name }, words?.[name] ?? name));
  return {
    get: () => select.value as Name,
    set: (name: Name) => {
      select.value = name;
    },
  };
}

export const offerHosts = (id: string) => offer(id, HOSTS, HOST_WORDS);
export const offerWriters = (id: string) => offer(id, WRITERS, WRITER_WORDS);
export const offerUpdates = (id: string) => offer(id, UPDATES, UPDATE_WORDS);
export const offerMemories = (id: string) => offer(id, MEMORIES, MEMORY_WORDS);
