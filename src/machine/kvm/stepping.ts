/**
 * A call of one of the image's readers, run one access at a time: the host looks on after each, and may do anything in
 * between, on any vCPU. A thread is no more than its registers, so it goes on on whichever vCPU they are loaded, as the
 * scheduler of a guest does it.
 *
 * Each step is an exit and an entry. Where KVM keeps the clock, its entry serves what is pending for that vCPU, as ever;
 * where we do, a step goes past our own gate: for the model, the vCPU has been in the guest all along.
 */
import type { KvmRegs } from '../../abi/kvm-structs.ts';
import { PAGE_BYTES } from '../sys.ts';
import type { Guest } from './guest.ts';
import { GuestError } from './thread.ts';

/** What an instruction does that another thread, or the vCPU it runs on, has a part in. */
export type GuestAccess =
  | { readonly kind: 'load'; readonly address: number }
  | { readonly kind: 'tsc' }
  | { readonly kind: 'vcpu' };

/** The same, done. `value`: the TSC, or the vCPU's number; of a load 0n, as it stands in memory for whoever looks. */
export type DoneAccess = GuestAccess & { readonly value: bigint };

const STACK_BYTES = PAGE_BYTES;
const LONGEST_INSTRUCTION = 15;
/** No reader has more instructions between two accesses. */
const MOST_INSTRUCTIONS = 200;

export class SteppedCall {
  readonly #guest: Guest;
  readonly #returnsTo: bigint;
  #regs: KvmRegs;

  /** The call as it begins: `symbol(first, second)`, its stack taken from the guest's data. */
  constructor(guest: Guest, symbol: string, first: number, second: number) {
    const stackTop = guest.allocate(STACK_BYTES) + STACK_BYTES - 8;
    this.#guest = guest;
    this.#returnsTo = BigInt(guest.address('guest_fault'));
    guest.vm.memory.view.setBigUint64(stackTop, this.#returnsTo, true);
    this.#regs = {
      ...guest.vm.vcpus[0]!.regs(),
      rip: BigInt(guest.address(symbol)),
      rsp: BigInt(stackTop),
      rdi: BigInt(first),
      rsi: BigInt(second),
    };
  }

  /** Goes on on `vcpu` until one access is done; undefined where the call returns before. */
  async next(vcpu: number): Promise<DoneAccess | undefined> {
    for (let i = 0; i < MOST_INSTRUCTIONS; i++) {
      if (this.#regs.rip === this.#returnsTo) return undefined;
      const access = accessAt(this.#guest.vm.memory.slice(Number(this.#regs.rip), LONGEST_INSTRUCTION), this.#regs);
      this.#regs = await this.#guest.threads[vcpu]!.step(this.#guest.vm.vcpus[vcpu]!, this.#regs);
      if (access === undefined) continue;
      const { rax, rdx } = this.#regs;
      const value = access.kind === 'tsc' ? (rdx << 32n) | rax : access.kind === 'vcpu' ? rax & 0xfffn : 0n;
      return { ...access, value };
    }
    throw new GuestError(`vCPU ${vcpu}: no access of memory or TSC within ${MOST_INSTRUCTIONS} instructions`);
  }

  /** What the call has returned. */
  get result(): bigint {
    return this.#regs.rax;
  }
}

const REX = 0x40;
const REX_B = 1;
const RDI = 7;
/** Opcodes that load: mov, cmp both ways, test byte; and behind 0x0f: movzx and movsx of a byte. */
const LOADS: readonly number[] = [0x8b, 0x39, 0x3b, 0xf6];
const LOADS_0F: readonly number[] = [0xb6, 0xbe];

/**
 * The access of the instruction in `code`; undefined where it has none. The readers keep a record's address in rdi, and reach by
 * it what others write, and by no other register.
 */
export function accessAt(code: Uint8Array, { rdi }: Pick<KvmRegs, 'rdi'>): GuestAccess | undefined {
  const rex = (code[0]! & 0xf0) === REX ? code[0]! : 0;
  const at = rex === 0 ? 0 : 1;
  const isTwoByte = code[at] === 0x0f;
  const opcode = code[at + (isTwoByte ? 1 : 0)]!;
  const modrmAt = at + (isTwoByte ? 2 : 1);
  const modrm = code[modrmAt]!;
  if (isTwoByte && (opcode === 0x31 || (opcode === 0x01 && modrm === 0xf9))) return { kind: 'tsc' };
  if (isTwoByte && opcode === 0x03) return { kind: 'vcpu' };
  const mode = modrm >> 6;
  if (!(isTwoByte ? LOADS_0F : LOADS).includes(opcode)) return undefined;
  if (mode === 3 || (modrm & 7) !== RDI || (rex & REX_B) !== 0) return undefined;
  const view = new DataView(code.buffer, code.byteOffset + modrmAt + 1);
  const displacement = mode === 0 ? 0 : mode === 1 ? view.getInt8(0) : view.getInt32(0, true);
  return { kind: 'load', address: Number(rdi) + displacement };
}
