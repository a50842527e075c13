/** What an update does to clocks that are being read: the old record 0, and steps from line to line. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pvti } from '../../abi/pvti.ts';
import { lineAt } from '../../guest/sequence.ts';
import { spreadOf } from '../statistics.ts';
import type { ConformCase, Finding, OpenGuest } from './conform.ts';
import { race, settleRecords, type Update } from './race.ts';

const RACES = 10;
const REFRESHES = 100;
/** Long enough that what the two rates differ by shows at each: a refresh a moment later moves the clock by less than 1 ns. */
const BETWEEN_MS = 20;
/** Fewer, further apart: what the two rates differ by shows in the time between two refreshes. */
const SLOW_REFRESHES = 4;
const SLOW_BETWEEN_MS = 500;

/** How often vCPU 1 still reads the old record 0, and how often where vCPU 0 enters first. */
async function staleRecord0(open: OpenGuest, update: Update): Promise<Finding> {
  let stale = 0;
  let staleCareful = 0;
  let worst = 0n;
  for (let i = 0; i < RACES; i++) {
    const run = await race(await open(2), update);
    if (run.stale) stale++;
    if (run.worstErrorNs > worst) worst = run.worstErrorNs;
    if ((await race(await open(2), update, true)).stale) staleCareful++;
  }
  return {
    verdict: stale === 0 ? 'kept' : 'broken',
    seen: `${stale} of ${RACES} runs read the old record 0, at worst ${worst} ns off; ${staleCareful} of ${RACES} where vCPU 0 entered first`,
    figures: { runs: RACES, stale, staleWithVcpu0First: staleCareful, worstErrorNs: worst },
  };
}

interface Steps {
  readonly steps: readonly number[];
  readonly seconds: number;
}

/** By how much each of many refreshes moves the clock, ns: the new line less the old one, where the new one begins. */
async function measureSteps(open: OpenGuest, refreshes: number, betweenMs: number): Promise<Steps> {
  const guest = await open(2);
  await settleRecords(guest);
  const enterBoth = async (): Promise<void> => {
    for (const vcpu of [1, 0]) await guest.call(vcpu, 'guest_nothing');
  };
  const steps: number[] = [];
  const start = performance.now();
  let old = guest.record(0);
  while (steps.length < refreshes) {
    await sleep(betweenMs);
    guest.clock.rebase();
    await enterBoth();
    const next = guest.record(0);
    if (next.tscTimestamp === old.tscTimestamp) throw new Error('the host took no new base for the clock');
    steps.push(Number(BigInt.asIntN(64, next.systemTime - at(old, next.tscTimestamp))));
    old = next;
  }
  return { steps, seconds: (performance.now() - start) / 1000 };
}

function at({ tscTimestamp, systemTime, tscToSystemMul, tscShift }: Pvti, tsc: bigint): bigint {
  return lineAt(tsc, tscTimestamp, systemTime, tscToSystemMul, tscShift);
}

async function backwards(open: OpenGuest): Promise<Finding> {
  const { steps } = await measureSteps(open, REFRESHES, BETWEEN_MS);
  const back = steps.filter((step) => step < 0);
  const { min, median, max } = spreadOf(steps);
  return {
    verdict: back.length === 0 ? 'kept' : 'broken',
    seen: `${back.length} of ${steps.length} refreshes set the clock back, at worst by ${Math.max(0, -min)} ns`,
    figures: { refreshes: steps.length, backwards: back.length, minNs: min, medianNs: median, maxNs: max },
  };
}

async function drift(open: OpenGuest): Promise<Finding> {
  const { steps, seconds } = await measureSteps(open, SLOW_REFRESHES, SLOW_BETWEEN_MS);
  const sum = steps.reduce((total, step) => total + step, 0);
  const worst = Math.max(...steps.map(Math.abs));
  const perRefresh = sum / steps.length;
  const ppm = sum / (seconds * 1000);
  return {
    verdict: worst <= 1 ? 'kept' : 'broken',
    seen: `${steps.length} refreshes in ${seconds.toFixed(1)} s moved the clock by ${perRefresh.toFixed(2)} ns each on average, ${worst} ns at most: ${ppm.toFixed(4)} ppm`,
    figures: { refreshes: steps.length, seconds, meanNs: perRefresh, worstNs: worst, ppm },
  };
}

const ENTER_FIRST =
  'after an update enter vCPU 0 once before any other vCPU (after a TSC write, set the clock to what it is first): measured here';

export const REFRESH_CASES: readonly ConformCase[] = [
  {
    name: 'record0-after-unstable',
    promised: 'a vCPU that was told that the clock is not stable finds no record that says otherwise',
    advice: ENTER_FIRST,
    measure: (open) => staleRecord0(open, 'unstable'),
  },
  {
    name: 'record0-after-set-clock',
    promised: 'a vCPU that was told of a new time finds the old one in no record',
    advice: ENTER_FIRST,
    measure: (open) => staleRecord0(open, 'set-clock'),
  },
  {
    name: 'refresh-backwards',
    promised: 'a new base for the same clock never sets it back',
    advice: 'cause no refreshes: a vCPU made late, a TSC set anew and KVM_SET_CLOCK each make one',
    measure: backwards,
  },
  {
    name: 'refresh-drift',
    promised: 'a new base for the same clock moves it by no more than 1 ns',
    advice:
      'cause no refreshes; expect the clock to have two rates, of the records and of the host, and a step at each refresh',
    measure: drift,
  },
];
