/** `kvmclock vdso`: the vDSO image as a file, its C header, its symbols. */
import path from 'node:path';
import { toJson } from '../report/json.ts';
import { grouped, table } from '../report/text.ts';
import { clockCode, DATA_BYTES } from '../vdso/clock.ts';
import { declarationOf, headerText } from '../vdso/header.ts';
import { buildImage, type Image } from '../vdso/image.ts';
import { defineCommand, EXIT_OK, UsageError } from './command.ts';
import { quoted } from './dispatch.ts';
import { writeWhole } from './write-whole.ts';

const SONAME = 'kvmclock.so';

export const command = defineCommand({
  usage: 'vdso [--out FILE] [--header FILE]',
  details: `The image is an ELF shared object for x86-64 Linux that needs no other: C, Python's ctypes, Bun, Deno and
anything else with a dlopen can call it. Linked against, it is looked for as ${SONAME}.

kvmclock_attach takes the address of vCPU 0's record. Linux maps it into every process: the first page of
[vvar_vclock] in /proc/self/maps, or before Linux 6.13 the second page of [vvar]; it can be read where
kvm-clock was used since boot. With none attached the clock is the kernel's CLOCK_MONOTONIC_RAW.

With neither option it lists the functions and their sizes.`,
  options: {
    out: { type: 'string', value: 'FILE', help: `write the image (${SONAME})` },
    header: { type: 'string', value: 'FILE', help: 'write the C header (kvmclock.h)' },
  },
  maxPositionals: 0,
  async run({ values, json }, { stdout }) {
    const { out, header } = values;
    if (out !== undefined && header !== undefined && path.resolve(out) === path.resolve(header)) {
      throw new UsageError(`--out and --header both name ${quoted(out)}; give them a file each`);
    }
    const image = buildImage(clockCode(), SONAME, DATA_BYTES);
    if (out !== undefined) writeWhole('--out', out, image.file);
    if (header !== undefined) writeWhole('--header', header, headerText(SONAME, image.symbols));
    if (json) stdout.write(toJson(described(image, out, header)));
    else if (out === undefined && header === undefined) stdout.write(listing(image));
    else for (const file of [out, header]) if (file !== undefined) stdout.write(`${file}\n`);
    return EXIT_OK;
  },
});

function described({ file, symbols }: Image, out: string | undefined, header: string | undefined) {
  const functions = symbols.map(({ name, bytes }) => ({ name, bytes, declaration: declarationOf(name) }));
  return { soname: SONAME, bytes: file.length, out, header, symbols: functions };
}

function listing({ file, symbols }: Image): string {
  const rows = symbols.map(({ name, bytes }) => [`  ${bytes}`, `${declarationOf(name)};`]);
  return `${SONAME}: ${grouped(file.length)} bytes, ${symbols.length} functions (bytes of code, declaration)\n\n${table(rows, ['right'])}`;
}
