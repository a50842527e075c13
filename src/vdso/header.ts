/** The C header of the image: one declaration a symbol, for C99 and C++. */
import { CLOCK_BASES, CLOCK_MODE } from '../abi/clock-base.ts';
import { PVTI_SIZE } from '../abi/pvti.ts';
import { LINE_BYTES } from './cached.ts';
import type { CodeSymbol } from './code.ts';

/** How C declares a function of the image. `comment`: what it does, lines of at most 110 characters. */
export interface Declaration {
  readonly returns: string;
  readonly parameters: string;
  readonly comment: string;
}

const declare = (returns: string, parameters: string, comment: string): Declaration => ({
  returns,
  parameters,
  comment,
});

/** In the order of the header. */
const DECLARATIONS: Readonly<Record<string, Declaration>> = {
  kvmclock_attach: declare(
    'int',
    'const void *records',
    `Makes the records at this address the ones that the clock reads: vCPU 0's, and those of the next vCPUs
each KVMCLOCK_RECORD_BYTES further on. NULL: none. To be called once, before other threads read. Anchors.
The address must stay readable: a load from a page that the kernel does not back ends the process.`,
  ),
  kvmclock_anchor: declare(
    'int',
    'void',
    `Notes by how much the record's clock is ahead of the kernel's, for the readings that must ask the kernel.
Called again now and then, it keeps their difference small. Returns 1, or 0 where the record is not stable
or none is attached: what was noted before then stands.`,
  ),
  kvmclock_now: declare(
    'uint64_t',
    'void',
    `Nanoseconds since the VM's clock was zero. Where the record is not stable or none is attached, the kernel's
CLOCK_MONOTONIC_RAW, moved by what kvmclock_anchor noted. The TSC is read after every earlier load.`,
  ),
  kvmclock_now_ns: declare(
    'double',
    'void',
    'The same, rounded to the nearest double: exact below 2^53 ns (104 days).',
  ),
  kvmclock_now_relaxed: declare(
    'uint64_t',
    'void',
    `The same by a plain RDTSC, which the processor may read before earlier loads and after later ones, some tens of
cycles away from where it stands in the program. Cheaper; not for comparing with what other threads wrote.`,
  ),
  kvmclock_now_relaxed_ns: declare('double', 'void', 'The same, rounded to the nearest double.'),
  kvmclock_read_before: declare(
    'uint64_t',
    'const void *records',
    `The readers, given vCPU 0's record. Each returns nanoseconds, or KVMCLOCK_UNSTABLE where the record says that it
is not stable. This one takes the record of the vCPU that it runs on and asks twice which one that is.`,
  ),
  kvmclock_read_rfc: declare(
    'uint64_t',
    'const void *records',
    "vCPU 0's record, its stable bit tested before the loop.",
  ),
  kvmclock_read_landed: declare(
    'uint64_t',
    'const void *records',
    "vCPU 0's record, its stable bit tested inside the loop: what Linux's vDSO does.",
  ),
  kvmclock_read_cached: declare(
    'uint64_t',
    'const void *records, struct kvmclock_line *line',
    `The same from a line that is kept while the record's version stays: one line belongs to one thread and one
record, and begins as KVMCLOCK_LINE_INIT.`,
  ),
  kvmclock_read_relaxed: declare('uint64_t', 'const void *records', 'kvmclock_read_landed by a plain RDTSC.'),
  kvmclock_at: declare(
    'uint64_t',
    'const void *record, uint64_t tsc',
    `The time at a TSC by one record, whether it is stable or not. The version is not looked at: for a record that
nobody writes.`,
  ),
  kvmclock_rdtsc: declare('uint64_t', 'void', 'The TSC by RDTSC, with no order.'),
  kvmclock_rdtsc_lfence: declare('uint64_t', 'void', 'The TSC by LFENCE and RDTSC, after every earlier load.'),
  kvmclock_rdtscp: declare(
    'uint64_t',
    'void',
    'The TSC by RDTSCP, after every earlier load. An illegal instruction where the processor has no RDTSCP.',
  ),
  kvmclock_rdtsc_ordered: declare(
    'uint64_t',
    'void',
    'The TSC by RDTSCP where kvmclock_attach found that there is one, else by LFENCE and RDTSC.',
  ),
  kvmclock_vcpu: declare('uint32_t', 'void', 'The number of the vCPU, as Linux keeps it in a segment limit.'),
  kvmclock_attach_bases: declare(
    'void',
    'const struct kvmclock_base *bases, uint32_t *asked, int (*kernel)(int, struct timespec *)',
    `The kernel's clocks without the kernel, by a page of bases that the program keeps, one for each clock in the order
of their numbers. *asked becomes 1 where the kernel had to be asked; NULL: nobody wants to know.
kernel: the clock_gettime to ask, which returns 0 or -errno as the vDSO's does; NULL: the system call. With
bases NULL, as at first, the kernel is always asked. To be called after kvmclock_attach and before other threads read.`,
  ),
  kvmclock_clock_gettime: declare(
    'int',
    'int clock, struct timespec *time',
    `clock_gettime by the bases. The kernel is asked in the same call for a clock that has no base, for a base that is
older than it is valid for, and where the record that a base counts by is not stable; held up to the latest that
the base has given. Returns 0, or -errno.`,
  ),
  ...fastDeclarations('realtime', 'CLOCK_REALTIME'),
  ...fastDeclarations('monotonic', 'CLOCK_MONOTONIC'),
  ...fastDeclarations('boottime', 'CLOCK_BOOTTIME'),
  ...fastDeclarations('monotonic_raw', 'CLOCK_MONOTONIC_RAW'),
  kvmclock_counter: declare(
    'uint64_t',
    'uint32_t mode',
    `What a base of this mode counts by: the TSC, or the attached record's time. KVMCLOCK_UNSTABLE where there is none.`,
  ),
  kvmclock_sample: declare(
    'int',
    'struct kvmclock_sample *sample',
    `For making bases: the counter of sample->mode, the kernel's sample->clock and the counter again, as close together
as can be. Returns 1, or 0 where one of them cannot be read.`,
  ),
};

function fastDeclarations(name: string, clock: string): Record<string, Declaration> {
  return {
    [`kvmclock_${name}`]: declare('uint64_t', 'void', `kvmclock_clock_gettime(${clock}) in nanoseconds.`),
    [`kvmclock_${name}_ns`]: declare('double', 'void', 'The same, rounded to the nearest double.'),
  };
}

const LINE_WORDS = LINE_BYTES / 8;

/** How C declares `symbol`: `uint64_t kvmclock_now(void)`. Throws where the header does not know it. */
export function declarationOf(symbol: string): string {
  const declaration = DECLARATIONS[symbol];
  if (declaration === undefined) throw new Error(`the header does not declare ${symbol}`);
  return `${declaration.returns} ${symbol}(${declaration.parameters})`;
}

/** kvmclock.h for an object with these symbols. Throws where they are not those that the header knows. */
export function headerText(soname: string, symbols: readonly CodeSymbol[]): string {
  const names = new Set(symbols.map(({ name }) => name));
  const lacking = Object.keys(DECLARATIONS).find((name) => !names.has(name));
  if (lacking !== undefined) throw new Error(`the image has no ${lacking}`);
  for (const name of names) declarationOf(name);
  const functions = Object.entries(DECLARATIONS).map(
    ([name, { comment }]) => `${commented(comment)}\n${declarationOf(name)};\n`,
  );
  return `${commented(`The functions of ${soname}: KVM's paravirtual clock, read from the record that the hypervisor shares with this guest.
They follow the System V calling convention, keep nothing but what kvmclock_attach, kvmclock_attach_bases and
kvmclock_anchor set, and may be called from any thread and any signal handler.`)}
#ifndef KVMCLOCK_H
#define KVMCLOCK_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a reader returns where the record is not stable: ask the kernel. */
#define KVMCLOCK_UNSTABLE ((uint64_t)-1)

/* From one vCPU's record to the next. */
#define KVMCLOCK_RECORD_BYTES ${PVTI_SIZE}

/* What kvmclock_read_cached keeps between calls. */
struct kvmclock_line {
  uint64_t words[${LINE_WORDS}];
};
#define KVMCLOCK_LINE_INIT \\
  { { ${Array(LINE_WORDS).fill('KVMCLOCK_UNSTABLE').join(', ')} } }

/* A clock's base, written with the sequence odd, and even after:
 * ns = sec * 1000000000 + ((shifted_nsec + (counter - cycle_last) * mult) >> shift). All zero: no base. */
struct kvmclock_base {
  uint32_t sequence;
  uint32_t mode;
  uint64_t cycle_last;
  uint64_t valid_cycles; /* below 2^62 */
  uint32_t mult;
  uint32_t shift; /* 0..63 */
  int64_t sec;
  uint64_t shifted_nsec;
  uint64_t error_ns; /* for the program: nothing here reads these two */
  uint32_t error_ppb;
  uint32_t pad;
};
#define KVMCLOCK_BASES ${CLOCK_BASES}
#define KVMCLOCK_MODE_NONE ${CLOCK_MODE.NONE}
#define KVMCLOCK_MODE_TSC ${CLOCK_MODE.TSC}
#define KVMCLOCK_MODE_PVCLOCK ${CLOCK_MODE.PVCLOCK}
#define KVMCLOCK_MODE_COARSE ${CLOCK_MODE.COARSE}

/* What kvmclock_sample is given, and what it leaves. */
struct kvmclock_sample {
  uint64_t mode;
  uint64_t clock;
  uint64_t before;
  int64_t sec;
  int64_t nsec;
  uint64_t after;
};

struct timespec;

${functions.join('\n')}
#ifdef __cplusplus
}
#endif

#endif
`;
}

function commented(text: string): string {
  return `/* ${text.replaceAll('\n', '\n * ')} */`;
}
