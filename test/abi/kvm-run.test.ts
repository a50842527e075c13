import assert from 'node:assert/strict';
import test from 'node:test';
import { completeMsr, decodeExit, KVM_RUN } from '../../src/abi/kvm-run.ts';

function runWith(reason: number, fill: (run: DataView) => void = () => {}): DataView {
  const run = new DataView(new ArrayBuffer(4096));
  run.setUint32(8, reason, true);
  fill(run);
  return run;
}

test('decodeExit() takes an OUT apart', () => {
  const run = runWith(2, (view) => {
    view.setUint8(32, 1);
    view.setUint8(33, 2);
    view.setUint16(34, 0x3f8, true);
    view.setUint32(36, 3, true);
    view.setBigUint64(40, 4096n, true);
  });
  assert.deepEqual(decodeExit(run), { reason: 'io', write: true, port: 0x3f8, size: 2, count: 3, dataOffset: 4096 });
});

test('decodeExit() takes an MMIO read apart', () => {
  const run = runWith(6, (view) => {
    view.setBigUint64(32, 0xfee00020n, true);
    view.setUint32(48, 4, true);
  });
  assert.deepEqual(decodeExit(run), { reason: 'mmio', write: false, address: 0xfee00020n, bytes: 4 });
});

test('decodeExit() takes WRMSR and RDMSR apart', () => {
  const fill = (view: DataView) => {
    view.setUint32(44, 0x4b564d01, true);
    view.setBigUint64(48, 0x1001n, true);
  };
  assert.deepEqual(decodeExit(runWith(30, fill)), { reason: 'wrmsr', index: 0x4b564d01, data: 0x1001n });
  assert.deepEqual(decodeExit(runWith(29, fill)), { reason: 'rdmsr', index: 0x4b564d01 });
});

for (const [number, reason] of [
  [4, 'debug'],
  [5, 'hlt'],
  [8, 'shutdown'],
  [10, 'interrupted'],
] as const) {
  test(`decodeExit() reads ${number} as ${reason}`, () => assert.deepEqual(decodeExit(runWith(number)), { reason }));
}

test('decodeExit() keeps the number of a reason that it has no case for', () => {
  assert.deepEqual(decodeExit(runWith(33)), { reason: 'other', number: 33 });
});

test('decodeExit() gives the codes of entries that failed and of internal errors', () => {
  const fill = (view: DataView) => view.setBigUint64(32, 0x80000021n, true);
  assert.deepEqual(decodeExit(runWith(9, fill)), { reason: 'fail-entry', hardwareReason: 0x80000021n });
  assert.deepEqual(decodeExit(runWith(0, fill)), { reason: 'unknown', hardwareReason: 0x80000021n });
  assert.deepEqual(decodeExit(runWith(17, fill)), { reason: 'internal-error', suberror: 0x80000021 });
  assert.deepEqual(decodeExit(runWith(24, fill)), { reason: 'system-event', event: 0x80000021 });
});

test('completeMsr() leaves the value, and the refusal where there is one', () => {
  const run = runWith(29);
  completeMsr(run, 0x1234_5678_9abc_def0n);
  assert.equal(run.getBigUint64(KVM_RUN.msrData, true), 0x1234_5678_9abc_def0n);
  assert.equal(run.getUint8(KVM_RUN.msrError), 0);
  completeMsr(run, 0n, true);
  assert.equal(run.getUint8(KVM_RUN.msrError), 1);
});
