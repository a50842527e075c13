import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodePvti } from '../../src/abi/pvti.ts';
import { decodeStruct } from '../../src/abi/struct.ts';
import { WALL_CLOCK_LAYOUT } from '../../src/abi/wall-clock.ts';
import { type HostCpu, HYPERVISOR_WORDS } from '../../src/hypervisor/cpu.ts';
import { createHypervisor } from '../../src/hypervisor/hypervisor.ts';
import { ScriptedHost } from '../../src/hypervisor/scripted-host.ts';
import { createWords, sharedMemory } from '../../src/hypervisor/shared-memory.ts';
import { tscToNs } from '../../src/scale/time-scale.ts';

const HZ = 2_000_000_000n;

const START = { tscHz: HZ, tsc: 1_000n, ns: 5_000n, realtimeNs: 1_420_000_000_000_000_000n };

/** A host on which every reading takes a microsecond, but an instant is one. */
class BusyHost extends ScriptedHost {
  override tsc(): bigint {
    this.advanceNs(1_000n);
    return super.tsc();
  }

  override ns(): bigint {
    this.advanceNs(1_000n);
    return super.ns();
  }

  override realtimeNs(): bigint {
    this.advanceNs(1_000n);
    return super.realtimeNs();
  }
}

/** The same memory, which does not tell what it holds. */
function untold(memory: HostCpu): HostCpu {
  return new Proxy(memory, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      return name === 'holds' || typeof member !== 'function' ? undefined : member.bind(target);
    },
  });
}

function xen(host = new ScriptedHost(START), told = true) {
  const buffer = new SharedArrayBuffer(8192);
  const bounded = sharedMemory({ memory: buffer, words: createWords(2), hostClock: host });
  const memory = told ? bounded : untold(bounded);
  const view = new DataView(buffer);
  const hypervisor = createHypervisor({ memory, vcpus: 2, hostClock: host, flavour: 'xen' });
  return { host, hypervisor, view, record: (address: number) => decodePvti(view, address) };
}

test('a record that is registered is valid at once, made of the stamp of the processor', () => {
  const { hypervisor, record } = xen();
  assert.equal(hypervisor.registerTime(0, 64), true);
  const { mul, shift } = tscToNs(HZ);
  const body = { tscTimestamp: 1_000n, systemTime: 5_000n, tscToSystemMul: mul, tscShift: shift, flags: 1 };
  assert.deepEqual(record(64), { version: 2, ...body });
});

test('update() publishes only what differs', () => {
  const { host, hypervisor, record } = xen();
  hypervisor.registerTime(0, 64);
  const stamp = hypervisor.takeStamp();
  assert.equal(hypervisor.update(0, stamp), false);
  assert.equal(record(64).version, 2);
  host.advanceNs(1_000n);
  assert.equal(hypervisor.update(0, stamp), false);
  assert.equal(hypervisor.update(0, hypervisor.takeStamp()), true);
  assert.deepEqual([record(64).version, record(64).tscTimestamp], [4, 3_000n]);
});

test('a stamp is one instant where the host keeps time by its TSC, else two readings', () => {
  const { host, hypervisor } = xen(new BusyHost(START));
  assert.deepEqual(hypervisor.takeStamp(), { tsc: 1_000n, ns: 5_000n, tscHz: HZ });
  host.keepTimeByTsc(false);
  assert.deepEqual(hypervisor.takeStamp(), { tsc: 3_000n, ns: 7_000n, tscHz: HZ });
});

test('vCPUs on processors with stamps of their own have records that differ', () => {
  const { hypervisor, record } = xen();
  hypervisor.registerTime(0, 64, { tsc: 10n, ns: 20n, tscHz: HZ });
  hypervisor.registerTime(1, 128, { tsc: 11n, ns: 22n, tscHz: HZ + 1000n });
  assert.notDeepEqual(record(64), record(128));
});

test('the stable bit comes and goes with the clocksource of the host', () => {
  const { host, hypervisor, record } = xen();
  hypervisor.registerTime(0, 64);
  host.keepTimeByTsc(false);
  hypervisor.update(0, hypervisor.takeStamp());
  assert.equal(record(64).flags, 0);
  host.keepTimeByTsc(true);
  hypervisor.update(0, hypervisor.takeStamp());
  assert.equal(record(64).flags, 1);
});

test('the second copy follows the first, until it is given up', () => {
  const { host, hypervisor, record } = xen();
  hypervisor.registerTime(0, 64);
  hypervisor.registerSecondary(0, 4096);
  const { version: _, ...first } = record(64);
  const { version: second, ...body } = record(4096);
  assert.deepEqual(body, first);
  assert.equal(second, 2);
  hypervisor.registerSecondary(0, undefined);
  host.advanceNs(1_000n);
  hypervisor.update(0, hypervisor.takeStamp());
  assert.equal(record(4096).version, 2);
  assert.equal(record(64).version, 4);
  assert.equal(record(0).version, 0);
});

test('update() publishes the second copy where there is no first', () => {
  const { host, hypervisor, record } = xen();
  hypervisor.registerSecondary(1, 4096);
  host.advanceNs(1_000n);
  assert.equal(hypervisor.update(1, hypervisor.takeStamp()), true);
  assert.equal(record(4096).version, 4);
});

test('setTscOffset() moves the timestamp, mod 2^64', () => {
  const { hypervisor, record } = xen();
  hypervisor.setTscOffset(0, -1_000n);
  hypervisor.registerTime(0, 64);
  assert.equal(record(64).tscTimestamp, 0n);
  hypervisor.setTscOffset(0, -995n);
  const stamp = hypervisor.takeStamp();
  assert.deepEqual([hypervisor.update(0, stamp), hypervisor.update(0, stamp)], [true, false]);
  assert.equal(record(64).tscTimestamp, 5n);
});

test('the wall clock is the instant of the boot of the host, with its high word', () => {
  const { host, hypervisor, view } = xen();
  assert.equal(hypervisor.writeWallClock(256, 300), true);
  assert.deepEqual(decodeStruct(WALL_CLOCK_LAYOUT, view, 256), { version: 2, sec: 1_419_999_999, nsec: 999_995_000 });
  host.setRealtime(5_000_000_000_000_000_000n + 5_000n);
  hypervisor.writeWallClock(256, 300);
  assert.equal(BigInt(view.getUint32(300, true)) * 2n ** 32n + BigInt(view.getUint32(260, true)), 5_000_000_000n);
});

test('the wall clock is of one instant where there is one, is 0 before 1970, and needs no TSC', () => {
  const { host, hypervisor, view } = xen(new BusyHost({ ...START, realtimeNs: 15_077n }));
  const nsec = () => {
    assert.equal(hypervisor.writeWallClock(256, 8188), true);
    return decodeStruct(WALL_CLOCK_LAYOUT, view, 256).nsec;
  };
  assert.equal(nsec(), 10_077);
  host.keepTimeByTsc(false);
  assert.equal(nsec(), 9_077);
  host.setRealtime(0n);
  assert.equal(nsec(), 0);
});

test('an address that cannot be is refused', () => {
  const { hypervisor } = xen();
  for (const address of [8192, 8192 - 16, 66, 2 ** 50]) {
    assert.equal(hypervisor.registerTime(0, address), false);
    assert.equal(hypervisor.registerSecondary(0, address), false);
    if (address !== 8192 - 16) assert.equal(hypervisor.writeWallClock(address, 300), false);
  }
  for (const secHi of [8192, 302]) assert.equal(hypervisor.writeWallClock(256, secHi), false);
});

test('a record may be in any region of the memory', () => {
  const host = new ScriptedHost(START);
  const high = new SharedArrayBuffer(4096);
  const regions = [
    { address: 0, buffer: new SharedArrayBuffer(4096) },
    { address: 2 ** 32, buffer: high },
  ];
  const memory = sharedMemory({ memory: regions, words: createWords(1), hostClock: host });
  const hypervisor = createHypervisor({ memory, vcpus: 1, hostClock: host, flavour: 'xen' });
  assert.equal(hypervisor.registerTime(0, 2 ** 32 + 64), true);
  assert.equal(decodePvti(new DataView(high), 64).version, 2);
  assert.equal(hypervisor.registerTime(0, 2 ** 31), false);
});

test('no address reaches the words of the hypervisor, where the memory does not tell what it holds', () => {
  const { hypervisor, record } = xen(new ScriptedHost(START), false);
  for (const address of [HYPERVISOR_WORDS, HYPERVISOR_WORDS - 28]) {
    assert.equal(hypervisor.registerTime(0, address), false);
  }
  assert.equal(hypervisor.writeWallClock(64, HYPERVISOR_WORDS), false);
  assert.equal(hypervisor.registerTime(0, 64), true);
  assert.equal(record(64).version, 2);
});

test('a vCPU that the VM has not is refused, and one that has no rate yet has no record yet', () => {
  const { host, hypervisor, record } = xen();
  for (const call of [
    () => hypervisor.registerTime(2, 64),
    () => hypervisor.registerSecondary(-1, 64),
    () => hypervisor.update(0.5, hypervisor.takeStamp()),
    () => hypervisor.setTscOffset(2, 1n),
  ]) {
    assert.throws(call, /^RangeError: vCPU [-\d.]+: this VM has vCPUs 0 to 1$/);
  }
  host.setTscHz(0n);
  hypervisor.registerTime(0, 64);
  assert.equal(record(64).version, 0);
  assert.equal(hypervisor.update(0, hypervisor.takeStamp()), false);
  host.setTscHz(HZ);
  assert.equal(hypervisor.update(0, hypervisor.takeStamp()), true);
  assert.equal(record(64).version, 2);
});
