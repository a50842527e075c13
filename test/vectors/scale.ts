/** Known answers of the arithmetic: computed by other means than the code under test (Python's integers, and real records). */

/** scale(delta, mul, shift) = ns. */
export const SCALE_DELTA_VECTORS = [
  { delta: 0xffff_ffff_ffff_ffffn, mul: 0xffff_ffff, shift: 0, ns: 0xffff_fffe_ffff_ffffn },
  { delta: 0xffff_ffff_ffff_ffffn, mul: 0xffff_ffff, shift: -1, ns: 0x7fff_ffff_7fff_ffffn },
  { delta: 0xffff_ffff_ffff_ffffn, mul: 0x8000_0000, shift: 1, ns: 0x7fff_ffff_ffff_ffffn },
  { delta: 1n << 63n, mul: 0x8000_0000, shift: 1, ns: 0n },
  { delta: 1n << 62n, mul: 0x8000_0000, shift: 2, ns: 0n },
  { delta: 123_456_789_012_345n, mul: 0xaaaa_aaaa, shift: -1, ns: 41_152_262_994_533n },
  { delta: 1n, mul: 0x8000_0000, shift: 1, ns: 1n },
] as const;

/** The pair for a TSC at `hz`, and what one second of its cycles comes to; `ns` is left out where only the pair is known. */
export const TSC_TO_NS_VECTORS: readonly { hz: bigint; shift: number; mul: number; ns?: bigint }[] = [
  { hz: 100_000_000n, shift: 4, mul: 0xa000_0000, ns: 1_000_000_000n },
  { hz: 999_999_999n, shift: 1, mul: 0x8000_0002, ns: 999_999_999n },
  { hz: 1_000_000_000n, shift: 1, mul: 0x8000_0000, ns: 1_000_000_000n },
  { hz: 1_000_000_001n, shift: 0, mul: 0xffff_fffb, ns: 999_999_999n },
  { hz: 1_500_000_000n, shift: 0, mul: 0xaaaa_aaaa, ns: 999_999_999n },
  { hz: 2_000_000_000n, shift: 0, mul: 0x8000_0000, ns: 1_000_000_000n },
  { hz: 2_100_000_000n, shift: -1, mul: 0xf3cf_3cf3, ns: 999_999_999n },
  { hz: 2_394_374_000n, shift: -1, mul: 0xd5d5_a82a, ns: 999_999_999n },
  { hz: 2_400_000_000n, shift: -1, mul: 0xd555_5555, ns: 999_999_999n },
  { hz: 2_500_000_000n, shift: -1, mul: 0xcccc_cccc },
  { hz: 2_900_000_000n, shift: -1, mul: 0xb08d_3dcb },
  { hz: 3_000_000_000n, shift: -1, mul: 0xaaaa_aaaa },
  { hz: 3_600_000_000n, shift: -1, mul: 0x8e38_e38e },
  { hz: 4_000_000_000n, shift: -1, mul: 0x8000_0000, ns: 1_000_000_000n },
  { hz: 1n << 32n, shift: -2, mul: 0xee6b_2800, ns: 1_000_000_000n },
  { hz: 5_000_000_000n, shift: -2, mul: 0xcccc_cccc },
  { hz: 1_000_000n, shift: 10, mul: 0xfa00_0000, ns: 1_000_000_000n },
  { hz: 32_768n, shift: 15, mul: 0xee6b_2800, ns: 1_000_000_000n },
  // Two real records, as KVM made them on one machine at rates 1 kHz apart.
  { hz: 2_596_144_000n, shift: -1, mul: 3_308_728_095 },
  { hz: 2_596_145_000n, shift: -1, mul: 3_308_726_820 },
];

/** The way back, from nanoseconds to cycles: what one second at 1 GHz comes to at `hz`. */
export const NS_TO_TSC_VECTOR = { hz: 2_394_374_000n, shift: 2, mul: 2_570_939_506, cycles: 2_394_373_999n } as const;

/** A TSC at `khz`, scaled to a pair and back to kHz as a guest kernel does it. */
export const TSC_KHZ_VECTORS = [
  { khz: 2_399_999n, answer: 2_399_998 },
  { khz: 4_294_967n, answer: 4_294_964 },
] as const;
