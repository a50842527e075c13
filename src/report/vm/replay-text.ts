/** A replay on real vCPUs, for people. */
import { PVCLOCK_TSC_STABLE_BIT } from '../../abi/pvti.ts';
import { formatNs } from '../../scale/duration.ts';
import { grouped, type Output, styled } from '../text.ts';
import type { RealReplay, RealStep } from './replay.ts';

export function realReplayText({ clock, steps, same }: RealReplay, output: Output): string {
  const who = clock === 'kvm' ? 'the real KVM' : `our hypervisor (${clock}) on real vCPUs`;
  const verdict = same ? `${who} did the same` : `${who} did otherwise`;
  return `${steps.map((step) => stepText(step, output)).join('')}${styled(output, same ? 'green' : 'red', verdict)}\n`;
}

function stepText({ step, what, records, reading, same }: RealStep, output: Output): string {
  const lines = [`${String(step).padStart(3)}. ${styled(output, 'bold', what)}`];
  if (reading !== null) {
    const { ns, errorNs, stale } = reading;
    const time = ns === null ? 'no stable record' : `${grouped(ns)} ns`;
    const off = errorNs === null || errorNs === 0n ? '' : `, ${formatNs(Number(errorNs))} off its own record`;
    lines.push(`     returns ${time}${off}${stale ? `, ${styled(output, 'red', 'stale')}` : ''}`);
    lines.push(`     ${same === true ? 'as' : styled(output, 'red', 'not as')} in the model`);
  }
  records.forEach(({ version, flags, systemTime, tscTimestamp }, vcpu) => {
    const stable = (flags & PVCLOCK_TSC_STABLE_BIT) !== 0 ? 'stable' : 'not stable';
    const line = `${grouped(systemTime)} ns at TSC ${grouped(tscTimestamp)}`;
    lines.push(styled(output, 'dim', `       | record ${vcpu}: version ${version}, ${stable}, ${line}`));
  });
  return lines.map((line) => line + '\n').join('');
}
