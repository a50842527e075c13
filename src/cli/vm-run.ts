import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Kvm } from '../machine/kvm/kvm.ts';
import { type MachineOptions, runImage } from '../machine/kvm/machine.ts';
import { ImageError } from '../machine/kvm/multiboot.ts';
import { GuestError } from '../machine/kvm/thread.ts';
import { toJson } from '../report/json.ts';
import { defineCommand, type Io, UsageError } from './command.ts';
import { quoted } from './dispatch.ts';
import { parseWithin } from './values.ts';
import { CLOCK_OPTION, parseClock, withKvm } from './vm-host.ts';

const MIB = 1 << 20;
/** Above that the local APICs and KVM's own pages begin. */
const MOST_MEMORY_MIB = 3072;
/** APIC IDs have 8 bits, and one of them means all. */
const MOST_VCPUS = 255;

export const command = defineCommand({
  usage: 'vm run IMAGE [--smp N] [--memory MIB] [--append ARGS] [--clock kvm|kvmclock] [--timeout S] [--json]',
  details: `Runs a guest image in the manner of kvm-unit-tests: an ELF32 file with a Multiboot 1 header, its serial
line on stdout. With --clock kvmclock the image, which knows nothing of us, finds the clock of our
hypervisor where it looks for KVM's.

Exit status: value * 2 + 1 for the value that the image writes to its exit port (so 1 where that is
0), 2 where it ends in no such way or cannot be run.`,
  options: {
    smp: { type: 'string', value: 'N', default: '1', help: 'vCPUs (1 by default)' },
    memory: { type: 'string', value: 'MIB', default: '64', help: 'memory in MiB (64 by default)' },
    append: { type: 'string', value: 'ARGS', default: '', help: "the image's arguments, one string" },
    clock: CLOCK_OPTION,
    timeout: { type: 'string', value: 'S', default: '60', help: 'seconds until it is taken for hung (60 by default)' },
  },
  maxPositionals: 1,
  async run({ values, positionals, json }, io) {
    const [file] = positionals;
    if (file === undefined)
      throw new UsageError('which image? Give the path of a 32-bit ELF file with a Multiboot header');
    const vcpus = parseWithin('--smp', values.smp, 1, MOST_VCPUS);
    const memoryBytes = parseWithin('--memory', values.memory, 2, MOST_MEMORY_MIB) * MIB;
    const timeoutMs = parseWithin('--timeout', values.timeout, 1, 1_000_000) * 1000;
    const flavour = parseClock(values.clock);
    const name = path.basename(file).replace(/\.[^.]*$/, '');
    const commandLine = `${name} ${values.append}`.trim();
    const machine = { image: read(file), vcpus, memoryBytes, timeoutMs, flavour, commandLine };
    return await withKvm(io, json, async (kvm) => {
      const most = kvm.capability('KVM_CAP_MAX_VCPUS');
      if (vcpus > most) throw new UsageError(`--smp ${vcpus}: this host's KVM gives a VM at most ${most} vCPUs`);
      try {
        return await runAndPrint(kvm, io, json, machine, values.clock);
      } catch (error) {
        if (error instanceof ImageError) throw new UsageError(`${file} cannot be run: ${error.message}`);
        if (error instanceof GuestError)
          throw new UsageError(`${file}: ${error.message}; --timeout and --memory may help`);
        throw error;
      }
    });
  },
});

function read(file: string): Uint8Array {
  try {
    if (statSync(file).isFile()) return readFileSync(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(`cannot read ${quoted(file)}: ${WHY_NOT[code ?? ''] ?? code ?? String(error)}`);
  }
  throw new UsageError(`cannot read ${quoted(file)}: it is no regular file; give the path of an image`);
}

const WHY_NOT: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file; give the path of an image',
  EACCES: 'you may not read it; run as its owner or give it a mode that lets you',
};

async function runAndPrint(
  kvm: Kvm,
  io: Io,
  json: boolean,
  machine: Omit<MachineOptions, 'print'>,
  clock: string,
): Promise<number> {
  const decoder = new TextDecoder();
  let serial = '';
  const print = (bytes: Uint8Array): void => {
    const text = decoder.decode(bytes, { stream: true });
    serial += text;
    if (!json) io.stdout.write(text);
  };
  const start = performance.now();
  const value = await runImage(kvm, { ...machine, print });
  const status = (value * 2 + 1) & 0xff;
  const seconds = (performance.now() - start) / 1000;
  const { vcpus, commandLine } = machine;
  if (json) io.stdout.write(toJson({ machine: 'kvm', clock, vcpus, commandLine, status, value, seconds, serial }));
  return status;
}
