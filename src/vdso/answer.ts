/** How a function of the image returns what it has found. */
import type { Context } from './code.ts';
import { edx, rax, rdx } from './operands.ts';

export type Answer = 'u64' | 'double';

/** Returns rax as it is, or as a double in xmm0, rounded to nearest. */
export function emitAnswer({ a, cold }: Context, answer: Answer): void {
  if (answer === 'double') {
    const beyondSigned = a.label('2^63 and above');
    a.test(rax, rax);
    a.jcc('s', beyondSigned);
    a.zeroXmm0();
    a.cvtsi2sd(rax);
    cold.add(() => {
      a.bind(beyondSigned);
      a.mov(rdx, rax);
      a.shrImmediate(rax, 1);
      a.aluImmediate('and', edx, 1);
      a.alu('or', rax, rdx); // halved, with the lost bit kept for the rounding
      a.cvtsi2sd(rax);
      a.doubleXmm0();
      a.ret();
    });
  }
  a.ret();
}
