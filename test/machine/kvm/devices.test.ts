import assert from 'node:assert/strict';
import test from 'node:test';
import { KVM_RUN, type KvmExit } from '../../../src/abi/kvm-run.ts';
import { createDevices, EXIT_PORT, openDevices } from '../../../src/machine/kvm/devices.ts';

const DATA_AT = 4096;

function machine(data = createDevices(64 << 20, 7)) {
  const run = new DataView(new ArrayBuffer(8192));
  let printed = '';
  const serve = openDevices(data, (bytes) => {
    printed += Buffer.from(bytes).toString();
  });
  const io = (write: boolean, port: number, size: number, count = 1): KvmExit => ({
    reason: 'io',
    write,
    port,
    size,
    count,
    dataOffset: DATA_AT,
  });
  return {
    run,
    serve,
    printed: () => printed,
    out: (port: number, bytes: number[], size = bytes.length) => {
      new Uint8Array(run.buffer, DATA_AT, bytes.length).set(bytes);
      return serve(io(true, port, size, bytes.length / size), run);
    },
    in: (port: number, size = 1, count = 1) => {
      assert.ok(serve(io(false, port, size, count), run));
      return [...new Uint8Array(run.buffer, DATA_AT, size * count)];
    },
  };
}

test('openDevices() prints what is written to the serial line, also by a string instruction', () => {
  const { out, printed } = machine();
  out(0x3f8, [0x41]);
  out(0x3f8, [0x42, 0x43, 0x44], 1);
  out(0x3f9, [0x45]); // another register of it
  assert.equal(printed(), 'ABCD');
});

test('openDevices() shows an idle transmitter', () => assert.deepEqual(machine().in(0x3fd), [0x60]));

test('openDevices() gives the RAM size and the number of CPUs by fw_cfg, and zeroes for the rest', () => {
  const devices = machine();
  devices.out(0x510, [3, 0]);
  assert.deepEqual(devices.in(0x511, 1, 9), [0, 0, 0, 4, 0, 0, 0, 0, 0]);
  devices.out(0x510, [3, 0]);
  assert.deepEqual([devices.in(0x511, 1, 3), devices.in(0x511)], [[0, 0, 0], [4]]);
  devices.out(0x510, [5, 0]);
  assert.deepEqual([devices.in(0x511), devices.in(0x511), devices.in(0x511)], [[7], [0], [0]]);
  devices.out(0x510, [0x19, 0]);
  assert.deepEqual(devices.in(0x511, 1, 4), [0, 0, 0, 0]);
});

test('openDevices() shares the selected item between the threads of one VM', () => {
  const data = createDevices(1 << 20, 2);
  const [first, second] = [machine(data), machine(data)];
  first.out(0x510, [5, 0]);
  assert.deepEqual([second.in(0x511), first.in(0x511)], [[2], [0]]);
});

test('openDevices() answers ones where there is nothing, and takes writes there', () => {
  const devices = machine();
  assert.deepEqual(devices.in(0xcfc, 4), [0xff, 0xff, 0xff, 0xff]);
  assert.equal(devices.out(0x80, [1]), true);
  const mmio = { reason: 'mmio', write: false, address: 0xfed00000n, bytes: 4 } as const;
  assert.equal(devices.serve(mmio, devices.run), true);
  assert.equal(devices.run.getUint32(KVM_RUN.mmioData, true), 0xffff_ffff);
  assert.equal(devices.serve({ ...mmio, write: true }, devices.run), true);
});

test('openDevices() leaves the exit port, and exits that are no device, to others', () => {
  const devices = machine();
  assert.equal(devices.out(EXIT_PORT, [3]), false);
  assert.deepEqual(devices.in(EXIT_PORT), [0xff], 'a read of it is no end');
  assert.equal(devices.serve({ reason: 'hlt' }, devices.run), false);
  assert.equal(devices.serve({ reason: 'shutdown' }, devices.run), false);
});
