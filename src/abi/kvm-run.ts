/**
 * struct kvm_run, the page that KVM and the thread in KVM_RUN share: why the guest stopped, and what is asked of us.
 * Every reason that can come out of the guests of this project is one case of `KvmExit`; any other is `other`.
 */

/** Offsets of the fields, in bytes. The exit's own data stand from byte 32 on, one structure per reason. */
export const KVM_RUN = {
  immediateExit: 1,
  exitReason: 8,
  ioDirection: 32,
  ioSize: 33,
  ioPort: 34,
  ioCount: 36,
  ioDataOffset: 40,
  mmioAddress: 32,
  mmioData: 40,
  mmioBytes: 48,
  mmioWrite: 52,
  msrError: 32,
  msrWhy: 40,
  msrIndex: 44,
  msrData: 48,
  suberror: 32,
  hardwareReason: 32,
  systemEvent: 32,
} as const;

export const KVM_EXIT_UNKNOWN = 0;
export const KVM_EXIT_IO = 2;
export const KVM_EXIT_DEBUG = 4;
export const KVM_EXIT_HLT = 5;
export const KVM_EXIT_MMIO = 6;
export const KVM_EXIT_SHUTDOWN = 8;
export const KVM_EXIT_FAIL_ENTRY = 9;
export const KVM_EXIT_INTR = 10;
export const KVM_EXIT_INTERNAL_ERROR = 17;
export const KVM_EXIT_SYSTEM_EVENT = 24;
export const KVM_EXIT_X86_RDMSR = 29;
export const KVM_EXIT_X86_WRMSR = 30;

/**
 * Why KVM_RUN returned. `io` and `rdmsr` want their answer in kvm_run before the next entry; `shutdown` is a triple fault; `debug` the
 * end of a single step; `interrupted` is our own kick, or a signal of the process.
 */
export type KvmExit =
  | {
      readonly reason: 'io';
      readonly write: boolean;
      readonly port: number;
      readonly size: number;
      readonly count: number;
      readonly dataOffset: number;
    }
  | { readonly reason: 'mmio'; readonly write: boolean; readonly address: bigint; readonly bytes: number }
  | { readonly reason: 'rdmsr'; readonly index: number }
  | { readonly reason: 'wrmsr'; readonly index: number; readonly data: bigint }
  | { readonly reason: 'debug' }
  | { readonly reason: 'hlt' }
  | { readonly reason: 'shutdown' }
  | { readonly reason: 'interrupted' }
  | { readonly reason: 'fail-entry'; readonly hardwareReason: bigint }
  | { readonly reason: 'internal-error'; readonly suberror: number }
  | { readonly reason: 'system-event'; readonly event: number }
  | { readonly reason: 'unknown'; readonly hardwareReason: bigint }
  | { readonly reason: 'other'; readonly number: number };

/** The exit that stands in `run`, a view of the vCPU's kvm_run. */
export function decodeExit(run: DataView): KvmExit {
  const number = run.getUint32(KVM_RUN.exitReason, true);
  switch (number) {
    case KVM_EXIT_IO:
      return {
        reason: 'io',
        write: run.getUint8(KVM_RUN.ioDirection) === 1,
        port: run.getUint16(KVM_RUN.ioPort, true),
        size: run.getUint8(KVM_RUN.ioSize),
        count: run.getUint32(KVM_RUN.ioCount, true),
        dataOffset: Number(run.getBigUint64(KVM_RUN.ioDataOffset, true)),
      };
    case KVM_EXIT_MMIO:
      return {
        reason: 'mmio',
        write: run.getUint8(KVM_RUN.mmioWrite) !== 0,
        address: run.getBigUint64(KVM_RUN.mmioAddress, true),
        bytes: run.getUint32(KVM_RUN.mmioBytes, true),
      };
    case KVM_EXIT_X86_RDMSR:
      return { reason: 'rdmsr', index: run.getUint32(KVM_RUN.msrIndex, true) };
    case KVM_EXIT_X86_WRMSR:
      return {
        reason: 'wrmsr',
        index: run.getUint32(KVM_RUN.msrIndex, true),
        data: run.getBigUint64(KVM_RUN.msrData, true),
      };
    case KVM_EXIT_DEBUG:
      return { reason: 'debug' };
    case KVM_EXIT_HLT:
      return { reason: 'hlt' };
    case KVM_EXIT_SHUTDOWN:
      return { reason: 'shutdown' };
    case KVM_EXIT_INTR:
      return { reason: 'interrupted' };
    case KVM_EXIT_FAIL_ENTRY:
      return { reason: 'fail-entry', hardwareReason: run.getBigUint64(KVM_RUN.hardwareReason, true) };
    case KVM_EXIT_INTERNAL_ERROR:
      return { reason: 'internal-error', suberror: run.getUint32(KVM_RUN.suberror, true) };
    case KVM_EXIT_SYSTEM_EVENT:
      return { reason: 'system-event', event: run.getUint32(KVM_RUN.systemEvent, true) };
    case KVM_EXIT_UNKNOWN:
      return { reason: 'unknown', hardwareReason: run.getBigUint64(KVM_RUN.hardwareReason, true) };
    default:
      return { reason: 'other', number };
  }
}

/** Answers an `rdmsr` exit, or takes a `wrmsr` exit. `refused`: the guest gets #GP instead. */
export function completeMsr(run: DataView, data: bigint, refused = false): void {
  run.setUint8(KVM_RUN.msrError, refused ? 1 : 0);
  run.setBigUint64(KVM_RUN.msrData, data, true);
}
