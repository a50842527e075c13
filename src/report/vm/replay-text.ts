/** A replay on real vCPUs, for people. */
import { PVCLOCK_TSC_STABLE_BIT, type Pvti } from '../../abi/pvti.ts';
import { formatNs } from '../../scale/duration.ts';
import { grouped, type Output, styled } from '../text.ts';
import type { Outcome, RealCall, RealReplay, RealStep } from './replay.ts';

export function realReplayText({ clock, steps, same }: RealReplay, output: Output): string {
  const who = clock === 'kvm' ? 'the real KVM' : 'our hypervisor, on real vCPUs,';
  const verdict = same ? `${who} did the same` : `${who} did otherwise`;
  const lines = steps.map((step, index) => stepText(step, steps[index - 1]?.records, output));
  return `${lines.join('')}${styled(output, same ? 'green' : 'red', verdict)}\n`;
}

/** `before`: the records as they were shown last. */
function stepText(
  { step, what, records, call }: RealStep,
  before: readonly Pvti[] | undefined,
  output: Output,
): string {
  const lines = [`${String(step).padStart(3)}. ${styled(output, 'bold', what)}`];
  if (call !== null) lines.push(...callText(call, output));
  const now = records.map(recordText);
  const was = before?.map(recordText);
  if (now.join() !== was?.join())
    lines.push(...now.map((line, vcpu) => styled(output, 'dim', `       | record ${vcpu}: ${line}`)));
  return lines.map((line) => line + '\n').join('');
}

function callText(call: RealCall, output: Output): string[] {
  const { ns, errorNs, model } = call;
  const off =
    errorNs === null || errorNs === 0n ? '' : `, ${formatNs(Number(errorNs))} off what its own vCPU's record gives`;
  const isSame = call.answered === model.answered && call.broken.join() === model.broken.join();
  return [
    `     ${ns === null ? 'no stable record' : `${grouped(ns)} ns`}${off}`,
    isSame
      ? `     as in the model: ${outcomeText(call)}`
      : styled(output, 'red', `     ${outcomeText(call)}; in the model: ${outcomeText(model)}`),
  ];
}

function outcomeText({ answered, broken }: Outcome): string {
  const what = answered ? 'a time' : 'no stable record';
  return broken.length === 0 ? `${what}, nothing broken` : `${what}, which breaks ${broken.join(', ')}`;
}

function recordText({ version, flags, systemTime, tscTimestamp }: Pvti): string {
  const stable = (flags & PVCLOCK_TSC_STABLE_BIT) !== 0 ? 'stable' : 'not stable';
  return `version ${version}, ${stable}, ${grouped(systemTime)} ns at TSC ${grouped(tscTimestamp)}`;
}
