/**
 * A VMM, or an emulator, serves the clock of its guest. All that it adds to its run loop is `serveClock` below; the rest of
 * this file is a toy guest of one vCPU, to have something that runs:
 *
 *   npm install kvmclock
 *   node serve-clock-msrs.ts
 */
import { createHypervisor, createWords, type GuestCpu, READERS, sharedMemory, simulatedClock } from 'kvmclock';

/** Why the guest stopped: it wants a model-specific register, or is done. `fault`: inject #GP. */
export interface Exit {
  reason: 'rdmsr' | 'wrmsr' | 'halt';
  msr: number;
  value: bigint;
  fault: boolean;
}

export function serveClock(guestMemory: SharedArrayBuffer, vcpus: number, runGuest: (vcpu: number) => Exit) {
  const hostClock = simulatedClock();
  const memory = sharedMemory({ memory: guestMemory, words: createWords(vcpus), hostClock });
  const clock = createHypervisor({ memory, vcpus, hostClock });
  const run = (vcpu: number) => {
    clock.enter(vcpu); // writes the records that are due
    const exit = runGuest(vcpu);
    clock.leave(vcpu);
    if (exit.reason === 'wrmsr') exit.fault = clock.wrmsr(vcpu, exit.msr, exit.value) !== 'done';
    if (exit.reason === 'rdmsr') exit.value = clock.rdmsr(vcpu, exit.msr) ?? 0n;
    return exit;
  };
  return { run, clock };
}

const RECORD = 4096;
/** By its number the guest says where its record is to be: bit 0 asks for it. */
const MSR_KVM_SYSTEM_TIME_NEW = 0x4b564d01;

/** The toy guest: asks for its record, then reads the clock until it has gone on, twice. Returns the two readings, ns. */
export function toyGuest(): [bigint, bigint] {
  const guestMemory = new SharedArrayBuffer(65536);
  const view = new DataView(guestMemory);
  const readings: bigint[] = [];
  const { run, clock } = serveClock(guestMemory, 1, () => {
    if (view.getUint32(RECORD, true) === 0) {
      return { reason: 'wrmsr', msr: MSR_KVM_SYSTEM_TIME_NEW, value: BigInt(RECORD) | 1n, fault: false };
    }
    readings.push(read(guestCpu, RECORD) ?? 0n);
    return { reason: 'halt', msr: 0, value: 0n, fault: false };
  });
  const rdtsc = () => clock.readTsc(0);
  const read = READERS.landed();
  const guestCpu: GuestCpu = {
    load8: (address: number) => view.getUint8(address),
    load32: (address: number) => view.getUint32(address, true),
    load64: (address: number) => view.getBigUint64(address, true),
    rdtscOrdered: rdtsc,
    rdtsc,
    rdtscp: () => ({ tsc: rdtsc(), vcpu: 0 }),
    readBarrier() {},
    loadFence() {},
    vcpu: () => 0,
    relax() {},
  };
  while (readings.length < 2) run(0);
  return [readings[0]!, readings[1]!];
}

if (import.meta.main) {
  const [first, second] = toyGuest();
  console.log(`the guest's clock: ${first} ns, then ${second} ns`);
}
