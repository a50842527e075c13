/** The doctor's report for people: the verdict first, what it rests on after it, advice last. */
import type { RecordReport } from '../guest/record-report.ts';
import { formatAge, formatNs } from '../scale/duration.ts';
import { IN_TYPESCRIPT, javascriptTable, readersTable } from './costs-text.ts';
import type { DoctorReport } from './doctor.ts';
import { neighbourLines } from './neighbours.ts';
import { grouped, type Output, type Style, styled, table } from './text.ts';
import { clocksourceMeaning, type Verdict } from './verdict.ts';

const VERDICTS: Readonly<Record<Verdict, { style: Style; text: string }>> = {
  sound: { style: 'green', text: 'sound: this clock can be trusted' },
  unsound: { style: 'red', text: 'NOT SOUND' },
  unknown: { style: 'yellow', text: 'unknown: there is no paravirtual clock to be judged here' },
};

const SOUND_SIMULATION = "sound: the simulated VM's clock can be trusted";

export function doctorText(report: DoctorReport, output: Output): string {
  const simulated = report.machine === 'simulated';
  const parts = [
    verdictText(report, output),
    recordsText(report, output),
    report.readers.length > 0 ? readersTable(output, report.readers, simulated ? IN_TYPESCRIPT : undefined) : '',
    javascriptTable(output, report.javascript),
    checksText(report, output),
    section(output, 'other clocks', report.neighbours === undefined ? [] : neighbourLines(report.neighbours)),
    adviceText(report, output),
  ];
  return parts.filter((part) => part !== '').join('\n');
}

function verdictText({ verdict, machine, why, standIn, faults }: DoctorReport, output: Output): string {
  const { style, text } = VERDICTS[verdict];
  const said = machine === 'simulated' && verdict === 'sound' ? SOUND_SIMULATION : text;
  const shown = standIn === undefined ? [] : [`shown in its place: ${standIn}`];
  return `${styled(output, style, said)}\n${[why, ...shown, ...faults].map((line) => `  ${line}\n`).join('')}`;
}

function recordsText({ records, clocksource, clockNs, uptimeNs }: DoctorReport, output: Output): string {
  const heading = ['vCPU', 'version', 'stable', 'TSC', 'base taken', 'stopped', 'from record 0'];
  const rows = [heading.map((cell) => styled(output, 'bold', cell)), ...records.map(recordRow)];
  let text = records.length > 0 ? table(rows, ['right', 'right']) : '';
  if (clockNs !== undefined && uptimeNs !== undefined) {
    text += `the VM's clock reads ${formatAge(Number(clockNs))}; this kernel has been up ${formatAge(uptimeNs)}\n`;
  }
  if (clocksource !== undefined) {
    const { current, available } = clocksource;
    text += `clocksource ${current} (available: ${available.join(', ')}): ${clocksourceMeaning(current)}\n`;
  }
  return text;
}

function recordRow(record: RecordReport): string[] {
  return [
    String(record.vcpu),
    String(record.version),
    record.stable ? 'yes' : 'NO',
    record.tscKhz === undefined ? '?' : `${(record.tscKhz / 1000).toFixed(3)} MHz`,
    `${formatAge(record.ageNs)} ago`,
    record.paused ? 'yes, unseen' : 'no',
    `${record.apartNs} ns`,
  ];
}

function checksText({ warps, brackets, drift }: DoctorReport, output: Output): string {
  const lines: string[] = [];
  if (warps !== undefined) {
    const seen = warps.warps === 0 ? 'time never went back' : `${formatNs(warps.worstNs)} back at worst`;
    lines.push(`${grouped(warps.reads)} readings on all vCPUs at once: ${grouped(warps.warps)} warps (${seen})`);
  }
  if (brackets !== undefined) {
    const { readings, outside } = brackets;
    lines.push(`${grouped(readings)} readings between two others: ${grouped(outside)} outside`);
  }
  for (const { against, ppm, uncertaintyPpm } of drift) {
    lines.push(`drift against ${against}: ${ppm.toFixed(2)} ppm, +- ${uncertaintyPpm.toFixed(2)}`);
  }
  return section(output, 'checks', lines);
}

function adviceText({ advice }: DoctorReport, output: Output): string {
  return section(output, 'advice', advice);
}

function section(output: Output, title: string, lines: readonly string[]): string {
  if (lines.length === 0) return '';
  return `${styled(output, 'bold', title)}\n${lines.map((line) => `  ${line}\n`).join('')}`;
}
