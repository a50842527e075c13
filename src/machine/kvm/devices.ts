/**
 * The few devices that a test image expects, served in the vCPUs' own threads: a 16550's transmitter, fw_cfg, an exit port.
 * Whatever else it tries reads as ones and takes every write, as on a bus where nobody answers.
 */
import { KVM_RUN, type KvmExit } from '../../abi/kvm-run.ts';

/** A byte written here is one to print. */
const SERIAL_DATA = 0x3f8;
const SERIAL_LAST = 0x3ff;
const LINE_STATUS = 0x3fd;
/** Transmitter and its shift register are empty: the guest need not wait. */
const LINE_STATUS_IDLE = 0x60;

/** A word written here selects an item; its bytes come from the next port, one a read. */
const FW_CFG_SELECT = 0x510;
const FW_CFG_DATA = 0x511;
const FW_CFG_RAM_BYTES = 3;
const FW_CFG_CPUS = 5;

/** A write ends the guest: the process's status is value * 2 + 1. */
export const EXIT_PORT = 0xf4;

/** What the threads of one VM share: the item of fw_cfg and the place in it. All of it survives postMessage. */
export interface DevicesData {
  readonly state: SharedArrayBuffer;
  readonly memoryBytes: number;
  readonly vcpus: number;
}

const STATE = { selected: 0, place: 1 } as const;

export function createDevices(memoryBytes: number, vcpus: number): DevicesData {
  return { state: new SharedArrayBuffer(8), memoryBytes, vcpus };
}

/** Serves an exit; false where it is not a device's, or is the guest's end (`io` to EXIT_PORT). `run`: kvm_run and its data. */
export type ServeDevices = (exit: KvmExit, run: DataView) => boolean;

/** `print`: takes what the guest writes to its serial line. */
export function openDevices(data: DevicesData, print: (bytes: Uint8Array) => void): ServeDevices {
  const state = new Int32Array(data.state);
  const items = new Map<number, Uint8Array>([
    [FW_CFG_RAM_BYTES, littleEndian(data.memoryBytes, 8)],
    [FW_CFG_CPUS, littleEndian(data.vcpus, 2)],
  ]);
  const readPort = (port: number): number => {
    if (port === LINE_STATUS) return LINE_STATUS_IDLE;
    if (port >= SERIAL_DATA && port <= SERIAL_LAST) return 0;
    if (port !== FW_CFG_DATA) return 0xff;
    const place = Atomics.add(state, STATE.place, 1);
    return items.get(Atomics.load(state, STATE.selected))?.[place] ?? 0;
  };
  return (exit, run) => {
    if (exit.reason === 'mmio') {
      if (!exit.write) new Uint8Array(run.buffer, KVM_RUN.mmioData, exit.bytes).fill(0xff);
      return true;
    }
    if (exit.reason !== 'io' || (exit.write && exit.port === EXIT_PORT)) return false;
    const { port, write, size, count, dataOffset } = exit;
    const bytes = new Uint8Array(run.buffer, dataOffset, size * count);
    if (!write) for (let i = 0; i < bytes.length; i++) bytes[i] = readPort(port + (i % size));
    else if (port === SERIAL_DATA) print(bytes.slice());
    else if (port === FW_CFG_SELECT && size === 2) {
      Atomics.store(state, STATE.selected, bytes[0]! | (bytes[1]! << 8));
      Atomics.store(state, STATE.place, 0);
    }
    return true;
  };
}

function littleEndian(value: number, bytes: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt(value), true);
  return new Uint8Array(view.buffer, 0, bytes);
}
