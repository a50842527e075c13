/** What is asked of every execution, in plain words. */

export type PropertyName = 'torn' | 'mixed' | 'backwards' | 'stale-begin' | 'stale-use' | 'own';
export type WitnessName = 'retried' | 'updated' | 'stable' | 'unstable';

interface Property<Name> {
  readonly name: Name;
  /** A sentence that is true of a correct reader under a correct hypervisor. */
  readonly says: string;
}

/** What must hold in every execution. */
export const ALWAYS: readonly Property<PropertyName>[] = [
  { name: 'torn', says: 'the words that a time was computed from come from one update of the record' },
  { name: 'mixed', says: 'the stable bit that let a time through comes from the same update as its values' },
  { name: 'backwards', says: 'a call that begins after another has returned does not return an earlier time' },
  { name: 'stale-begin', says: 'a call begun on a vCPU that was told of an update uses no stable bit from before it' },
  { name: 'stale-use', says: 'no stable bit is used on a vCPU that was told of a later update' },
  { name: 'own', says: 'the time is the one that the record of the vCPU whose TSC was read gives for that TSC' },
];

/** What must happen in some execution, so that a pass is not the pass of a model in which nothing happens. */
export const SOMETIMES: readonly Property<WitnessName>[] = [
  { name: 'retried', says: 'a reader goes round its loop' },
  {
    name: 'updated',
    says: 'a vCPU enters the guest with the record of an update, or a call finds its wall clock',
  },
  { name: 'stable', says: 'a call returns a time' },
  { name: 'unstable', says: 'a call finds its record not stable' },
];

const NAMES = [...ALWAYS, ...SOMETIMES].map(({ name }) => name);

/** One bit for each property and witness. */
export function bitOf(name: PropertyName | WitnessName): number {
  return 1 << NAMES.indexOf(name);
}

export function namesIn(bits: number): (PropertyName | WitnessName)[] {
  return NAMES.filter((name) => (bits & bitOf(name)) !== 0);
}
