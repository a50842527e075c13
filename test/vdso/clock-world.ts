/**
 * A page of bases, a record, a TSC, the kernel's clock_gettime, and a kernel and a hypervisor that write between any two
 * operations: the same script is played to the plain functions and to the emitted ones, and each operation is written down.
 */
import fc, { type Arbitrary } from 'fast-check';
import { CLOCK_BASE_LAYOUT, CLOCK_PAGE_BYTES, type ClockBase, MAX_VALID_CYCLES } from '../../src/abi/clock-base.ts';
import { encodePvti, PVTI_LAYOUT, PVTI_SIZE, type Pvti } from '../../src/abi/pvti.ts';
import { encodeStruct } from '../../src/abi/struct.ts';
import type { ClockPage } from '../../src/guest/clock-gettime.ts';
import type { GuestCpu } from '../../src/guest/cpu.ts';
import { landed } from '../../src/guest/landed.ts';
import type { Timespec } from '../../src/scale/timespec.ts';
import type { Emulator, Platform } from './emulator.ts';
import { mul, shift, u64 } from './scripts.ts';
import { RAX, RDI, RSI } from './semantics.ts';

export type SequencedBase = ClockBase & { readonly sequence: number };

/** Before operation number `at`, these fields of the base, or of the record, change. */
interface Strike {
  readonly at: number;
  readonly base?: Partial<SequencedBase>;
  readonly record?: Partial<Pvti>;
}

export interface ClockScript {
  /** The clock that is read, and its base; the others have none. */
  readonly clock: number;
  readonly base: SequencedBase;
  readonly record: Pvti;
  readonly strikes: readonly Strike[];
  readonly tscs: readonly bigint[];
  /** What the kernel answers: the time, or an errno with its sign turned. */
  readonly kernel: readonly (Timespec | number)[];
  readonly hasRdtscp: boolean;
  /** Which of the image's words are set. `function`: the kernel is asked through one, else by the system call. */
  readonly attached: {
    readonly bases: boolean;
    readonly records: boolean;
    readonly asked: boolean;
    readonly function: boolean;
  };
}

/** Thrown at an operation beyond the last that is written down: the reader goes round for ever. */
export class Stuck extends Error {}

const MOST_OPERATIONS = 80;
const SYS_CLOCK_GETTIME = 228n;

export const RECORDS_AT = 0x5000_0000n;
export const BASES_AT = 0x5100_0000n;
export const ASKED_AT = 0x5200_0000n;
/** Memory of the caller. */
export const OWN_AT = 0x5300_0000n;
export const KERNEL_AT = 0x4000_0000n;
const OWN_BYTES = 64;

export const PAGE: ClockPage = { bases: Number(BASES_AT), records: Number(RECORDS_AT), read: landed };

export class ClockWorld implements Platform {
  readonly log: string[] = [];
  /** The word that tells that the kernel was asked. */
  asked = 0n;
  readonly own = new DataView(new ArrayBuffer(OWN_BYTES));
  readonly #bases = new DataView(new ArrayBuffer(CLOCK_PAGE_BYTES));
  readonly #record = new DataView(new ArrayBuffer(PVTI_SIZE));
  readonly #script: ClockScript;
  #taken = { tscs: 0, kernel: 0 };

  constructor(script: ClockScript) {
    this.#script = script;
    encodePvti(script.record, this.#record);
    this.#putBase(script.base);
    for (let at = 0; at < OWN_BYTES; at += 8) this.own.setBigUint64(at, 0x77n, true);
  }

  load(address: bigint, bits: number): bigint {
    if (address >= OWN_AT) return this.own.getBigUint64(Number(address - OWN_AT), true);
    const [name, view, start] =
      address >= BASES_AT
        ? (['base', this.#bases, BASES_AT] as const)
        : (['record', this.#record, RECORDS_AT] as const);
    const at = Number(address - start);
    this.#operation(`load${bits} ${name} ${at}`);
    if (bits === 8) return BigInt(view.getUint8(at));
    return bits === 32 ? BigInt(view.getUint32(at, true)) : view.getBigUint64(at, true);
  }

  store(address: bigint, bits: number, value: bigint): void {
    if (address === ASKED_AT && bits === 32) this.asked = value;
    else if (address >= OWN_AT && bits === 64) this.own.setBigUint64(Number(address - OWN_AT), value, true);
    else throw new Error(`a store to ${address.toString(16)}: bases and records are read-only`);
  }

  tsc(order: 'ordered' | 'plain'): bigint {
    return this.#tsc(order === 'ordered' ? 'lfence, rdtsc' : 'rdtsc');
  }

  rdtscp(): bigint {
    return this.#tsc('rdtscp');
  }

  syscall(emulator: Emulator): bigint {
    if (this.#script.attached.function) throw new Error('a system call where a function is attached');
    if (emulator.registers[RAX] !== SYS_CLOCK_GETTIME) throw new Error(`system call ${emulator.registers[RAX]}`);
    return this.clockGettime(emulator);
  }

  /** Clock and address are in the emulator's registers. */
  clockGettime(emulator: Emulator): bigint {
    const { registers } = emulator;
    const answer = this.kernel(Number(BigInt.asIntN(32, registers[RDI]!)));
    if (typeof answer === 'number') return BigInt.asUintN(64, BigInt(answer));
    emulator.store(registers[RSI]!, 64, BigInt.asUintN(64, answer.sec));
    emulator.store(registers[RSI]! + 8n, 64, BigInt(answer.nsec));
    return 0n;
  }

  kernel(clock: number): Timespec | number {
    this.#operation(`kernel ${clock}`);
    return this.#next('kernel');
  }

  fence = (): never => {
    throw new Error('no such fence here');
  };
  segmentLimit = this.fence;
  cpuid = this.fence;

  pause(): void {
    this.#operation('relax');
  }

  /** The same world as the plain functions see it. */
  get cpu(): GuestCpu {
    return {
      load8: (address) => Number(this.load(BigInt(address), 8)),
      load32: (address) => Number(this.load(BigInt(address), 32)),
      load64: (address) => this.load(BigInt(address), 64),
      rdtscOrdered: () => this.#tsc(this.#script.hasRdtscp ? 'rdtscp' : 'lfence, rdtsc'),
      rdtsc: () => this.tsc('plain'),
      rdtscp: this.fence,
      readBarrier: () => {},
      loadFence: this.fence,
      vcpu: this.fence,
      relax: () => this.pause(),
    };
  }

  #tsc(by: string): bigint {
    this.#operation(by);
    return this.#next('tscs');
  }

  #next<K extends 'tscs' | 'kernel'>(what: K): ClockScript[K][number] {
    const values: readonly ClockScript[K][number][] = this.#script[what];
    return values[Math.min(this.#taken[what]++, values.length - 1)]!;
  }

  #putBase(fields: Partial<SequencedBase>): void {
    const { clock } = this.#script;
    if (clock >= 0 && clock < 12) putFields(CLOCK_BASE_LAYOUT, fields, this.#bases, clock * 64);
  }

  #operation(name: string): void {
    if (this.log.length >= MOST_OPERATIONS) throw new Stuck('too many operations');
    for (const { at, base, record } of this.#script.strikes) {
      if (at !== this.log.length) continue;
      if (base !== undefined) this.#putBase(base);
      if (record !== undefined) putFields(PVTI_LAYOUT, record, this.#record, 0);
    }
    this.log.push(name);
  }
}

function putFields(
  layout: typeof CLOCK_BASE_LAYOUT | typeof PVTI_LAYOUT,
  fields: object,
  view: DataView,
  at: number,
): void {
  const given = Object.fromEntries(Object.entries(layout).filter(([field]) => field in fields));
  encodeStruct(given, fields as Record<string, never>, view, at);
}

const nsec = fc.oneof(fc.integer({ min: 0, max: 999_999_999 }), fc.constantFrom(0, 1, 999_999_999));
const sec = fc.oneof(fc.bigInt({ min: -(1n << 40n), max: 1n << 40n }), fc.constantFrom(0n, -1n, (1n << 63n) - 1n));
const even = fc.constantFrom(0, 2, 4, 0xffff_fffe);
const sequence = fc.oneof({ weight: 6, arbitrary: even }, { weight: 1, arbitrary: fc.constantFrom(1, 3, 0xffff_ffff) });
const mode = fc.constantFrom(1, 1, 1, 1, 2, 2, 3, 0, 4, 0xffff_fffe);
const bases: Arbitrary<SequencedBase> = fc.record({
  sequence,
  mode,
  cycleLast: fc.oneof(
    fc.bigInt({ min: 0n, max: 1n << 50n }),
    u64.map((any) => BigInt.asUintN(63, any)),
  ),
  validCycles: fc.oneof(fc.bigInt({ min: 0n, max: 1n << 36n }), fc.constantFrom(0n, 1n, MAX_VALID_CYCLES)),
  mult: mul,
  shift: fc.oneof(fc.integer({ min: 20, max: 33 }), fc.integer({ min: 0, max: 63 })),
  sec,
  shiftedNsec: fc.oneof(fc.bigInt({ min: 0n, max: 1n << 62n }), u64),
  errorNs: fc.constant(0n),
  errorPpb: fc.constant(0),
});
const records: Arbitrary<Pvti> = fc.record({
  version: sequence,
  tscTimestamp: u64,
  systemTime: u64,
  tscToSystemMul: mul,
  tscShift: shift,
  flags: fc.constantFrom(1, 1, 1, 1, 0, 2),
});
const strikes = fc.array(
  fc.record({
    at: fc.nat({ max: 30 }),
    base: fc.record(
      {
        sequence,
        mode,
        cycleLast: u64,
        mult: mul,
        sec,
        shiftedNsec: u64,
        validCycles: bases.map((b) => b.validCycles),
      },
      { requiredKeys: [] },
    ),
    record: fc.record({ version: sequence, systemTime: u64, flags: fc.constantFrom(0, 1) }, { requiredKeys: [] }),
  }),
  { maxLength: 4 },
);

/** `clocks`: those that are read; `kernel`: what the kernel may answer beside times near the base's latest. */
export function clockScripts(clocks: readonly number[], errors: readonly number[]): Arbitrary<ClockScript> {
  const often = (weight: number) =>
    fc.oneof({ weight, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) });
  const start = fc.bigInt({ min: -3n, max: 1n << 40n });
  return fc.tuple(bases, records, strikes, start).chain(([any, record, struck, ns]) => {
    // By the record, the counter is near what the record shows at its timestamp.
    const byRecord = BigInt.asUintN(63, record.systemTime + ns);
    const base = any.mode === 2 ? { ...any, cycleLast: byRecord } : any;
    const away = fc.oneof(fc.bigInt({ min: -9n, max: 1n << 40n }), fc.bigInt({ min: -(1n << 62n), max: 1n << 62n }));
    const near = away.map((cycles) => BigInt.asUintN(64, base.cycleLast + cycles));
    const onRecord = away.map((cycles) => BigInt.asUintN(64, record.tscTimestamp + cycles));
    const past = fc
      .bigInt({ min: -3n, max: 3n })
      .map((by) => BigInt.asUintN(64, base.cycleLast + base.validCycles + by));
    const latest = latestOf(base);
    const time = fc.oneof(
      fc.record({ sec, nsec }),
      fc.bigInt({ min: -2n, max: 2n }).map((by) => timespecOf(latest + by)),
      fc
        .constantFrom(-1n, 0n, 1n)
        .chain((by) => nsec.map((ns) => ({ sec: BigInt.asIntN(64, timespecOf(latest).sec + by), nsec: ns }))),
    );
    const kernel = errors.length === 0 ? time : fc.oneof({ weight: 4, arbitrary: time }, fc.constantFrom(...errors));
    return fc.record({
      clock: fc.constantFrom(...clocks),
      base: fc.constant(base),
      record: fc.constant(record),
      strikes: fc.oneof(fc.constant([]), fc.constant(struck)),
      tscs: fc.array(base.mode === 2 ? fc.oneof(onRecord, u64) : fc.oneof(near, past, u64), {
        minLength: 1,
        maxLength: 3,
      }),
      kernel: fc.array(kernel, { minLength: 1, maxLength: 3 }),
      hasRdtscp: fc.boolean(),
      attached: fc.record({ bases: often(9), records: often(5), asked: often(3), function: fc.boolean() }),
    });
  });
}

/** The latest ns that a base gives, with its seconds. */
function latestOf({ validCycles, mult, shift: bits, sec: seconds, shiftedNsec }: SequencedBase): bigint {
  const ns = BigInt.asUintN(64, (validCycles * BigInt(mult) + shiftedNsec) >> BigInt(bits));
  return seconds * 1_000_000_000n + ns;
}

function timespecOf(ns: bigint): Timespec {
  const rest = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return { sec: BigInt.asIntN(64, (ns - rest) / 1_000_000_000n), nsec: Number(rest) };
}
