import assert from 'node:assert/strict';
import test from 'node:test';
import { MSR_KVM_SYSTEM_TIME } from '../../../src/abi/msr.ts';
import type { FlavourName } from '../../../src/hypervisor/policy.ts';
import type { CallOptions, Guest } from '../../../src/machine/kvm/guest.ts';
import { CASES, type ConformCase, conform, type Figures } from '../../../src/report/vm/conform.ts';
import { conformText } from '../../../src/report/vm/conform-text.ts';
import { UNSTABLE } from '../../../src/report/vm/race.ts';
import { kvmTest, realKvm } from '../../machine/kvm/real-kvm.ts';

const TRAPS = ['old-msr-ends-stability', 'restore-with-saved-flags', 'run-before-set-clock'];

kvmTest('conform() finds every promise kept where our hypervisor keeps the clock', async () => {
  using kvm = realKvm();
  const names: string[] = [];
  const reports = await conform(kvm, 'kvmclock', (name) => names.push(name));
  assert.deepEqual(
    names,
    CASES.map(({ name }) => name),
  );
  for (const { name, verdict, seen, advice } of reports) {
    assert.equal(verdict, TRAPS.includes(name) ? 'trap' : 'kept', `${name}: ${seen}`);
    assert.equal(advice === null, verdict === 'kept', name);
  }
  assert.match(
    conformText(reports, 'kvmclock', { write() {}, isTerminal: false, colour: false }),
    /16 kept, 3 traps, 0 broken/,
  );
});

kvmTest("conform() finds KVM's own faults where KVM keeps the clock, and that a VMM can avoid the race", async () => {
  using kvm = realKvm();
  const reports = new Map((await conform(kvm)).map((report) => [report.name, report]));
  for (const name of ['record0-after-unstable', 'record0-after-set-clock']) {
    const { verdict, figures, advice } = reports.get(name)!;
    assert.equal(verdict, 'broken');
    const { runs, stale, staleWithVcpu0First } = figures;
    assert.deepEqual({ runs, stale, staleWithVcpu0First }, { runs: 10, stale: 10, staleWithVcpu0First: 0 });
    assert.match(advice!, /enter vCPU 0/);
  }
  assert.equal(reports.get('guest-stopped-in-snapshot')!.verdict, 'broken');
  for (const name of ['set-clock-zero', 'monotonic', 'wall-clock', 'record-valid-at-wrmsr', 'msr-alias']) {
    assert.equal(reports.get(name)!.verdict, 'kept', reports.get(name)!.seen);
  }
});

/** What is done to each new guest so that the case finds the promise broken. */
type Sabotage = (guest: Guest) => void;

const setClock = (
  wrong: (set: Guest['clock']['set'], data: Parameters<Guest['clock']['set']>[0]) => void,
): Sabotage => {
  return ({ clock }) => {
    const set = clock.set.bind(clock);
    clock.set = (data) => wrong(set, data);
  };
};

const calls = (
  wrong: (call: Guest['call'], vcpu: number, symbol: string, options?: CallOptions) => Promise<bigint>,
): Sabotage => {
  return (guest) => {
    const call = guest.call.bind(guest);
    guest.call = (vcpu, symbol, options) => wrong(call, vcpu, symbol, options);
  };
};

const late = setClock((set, data) => set({ ...data, clock: data.clock + 10_000_000_000n }));
const oddVersion = calls(async (call, vcpu, symbol, options) =>
  symbol === 'guest_register' ? (await call(vcpu, symbol, options)) + 1n : call(vcpu, symbol, options),
);
const rebaseBy =
  (ns: bigint): Sabotage =>
  ({ clock }) => {
    clock.rebase = () => clock.set({ clock: clock.get().clock + ns });
  };

interface Broken {
  readonly sabotage?: Sabotage;
  readonly flavour?: FlavourName;
  /** What the figures, and the sentence, must tell of it. */
  readonly tells?: (figures: Figures, seen: string) => boolean;
}

const HOUR_NS = 3_600_000_000_000;
const isNear = (ns: Figures[string] | undefined, wanted: number) => Math.abs(Number(ns) / wanted - 1) < 0.1;

const SABOTAGE: Readonly<Record<string, Broken>> = {
  'set-clock-zero': { sabotage: late },
  'set-clock-ahead': { sabotage: late },
  'set-clock-realtime-past': { sabotage: setClock((set, { clock }) => set({ clock })) },
  'set-clock-realtime-future': { sabotage: late },
  'set-clock-unknown-flags': {
    sabotage: setClock(() => {}),
    tells: ({ unknown, refused }) => unknown === 29 && refused === 0,
  },
  'record-valid-at-wrmsr': { sabotage: oddVersion },
  'record-over-garbage': { sabotage: oddVersion },
  'msr-alias': {
    sabotage: calls((call, vcpu, symbol, options) =>
      options?.first === MSR_KVM_SYSTEM_TIME ? Promise.resolve(0n) : call(vcpu, symbol, options),
    ),
  },
  monotonic: {
    sabotage: (guest) => {
      const call = guest.call.bind(guest);
      guest.call = async (vcpu, symbol, options) => {
        if (symbol !== 'kvmclock_warp_loop') return call(vcpu, symbol, options);
        const timer = setInterval(() => guest.clock.set({ clock: 0n }), 1);
        return call(vcpu, symbol, options).finally(() => clearInterval(timer));
      };
    },
    tells: ({ reads, warps, worstWarpNs }) => reads === 2_000_000 && Number(warps) > 0 && Number(worstWarpNs) > 0,
  },
  'wall-clock': {
    sabotage: ({ clock }) => {
      const get = clock.get.bind(clock);
      clock.get = () => ({ ...get(), realtime: get().realtime + BigInt(HOUR_NS) });
    },
    tells: ({ apartNs }) => isNear(apartNs, -HOUR_NS),
  },
  'old-msr-ends-stability': {
    sabotage: calls((call, vcpu, symbol, options) =>
      call(vcpu, symbol, symbol === 'guest_register' ? { ...options, first: MSR_KVM_SYSTEM_TIME } : options),
    ),
  },
  'record-across-pages': { flavour: 'kvm' },
  'record0-after-unstable': { flavour: 'kvm' },
  'record0-after-set-clock': {
    flavour: 'kvm',
    tells: ({ runs, stale, worstErrorNs }) => runs === stale && isNear(worstErrorNs, HOUR_NS),
  },
  'refresh-backwards': {
    sabotage: rebaseBy(-1_000_000n),
    tells: ({ refreshes, backwards, minNs, medianNs, maxNs }, seen) =>
      refreshes === backwards &&
      seen.endsWith(`at worst by ${-Number(minNs)} ns`) &&
      minNs! <= medianNs! &&
      medianNs! <= maxNs! &&
      Number(maxNs) < 0,
  },
  'refresh-drift': {
    sabotage: rebaseBy(BigInt(HOUR_NS)),
    tells: ({ refreshes, seconds, meanNs, worstNs, ppm }) =>
      [meanNs, worstNs].every((ns) => isNear(ns, HOUR_NS)) &&
      isNear(ppm, ((HOUR_NS / 1e9) * Number(refreshes) * 1e6) / Number(seconds)),
  },
  'guest-stopped-in-snapshot': {
    sabotage: ({ clock }) => {
      clock.noteStopped = () => {};
    },
  },
  'restore-with-saved-flags': { sabotage: setClock((set, { clock }) => set({ clock })) },
  'run-before-set-clock': { sabotage: setClock(() => {}) },
};

test('every case of conform() has a broken host that it catches', () => {
  assert.deepEqual(
    Object.keys(SABOTAGE),
    CASES.map(({ name }) => name),
  );
});

/** The verdict on a case where every guest of it is sabotaged. */
async function verdictOn(one: ConformCase, sabotage: Sabotage, flavour?: FlavourName) {
  using kvm = realKvm();
  const sabotaged: ConformCase = {
    ...one,
    measure: (open) =>
      one.measure(async (vcpus) => {
        const guest = await open(vcpus);
        sabotage(guest);
        return guest;
      }),
  };
  const [report] = await conform(kvm, flavour, undefined, [sabotaged]);
  return report!;
}

for (const one of CASES) {
  kvmTest(`conform() catches a host that breaks ${one.name}`, async () => {
    const { sabotage = () => {}, flavour = 'kvmclock', tells = () => true } = SABOTAGE[one.name]!;
    const { verdict, seen, figures } = await verdictOn(one, sabotage, flavour);
    assert.equal(verdict, 'broken', seen);
    assert.ok(tells(figures, seen), seen);
  });
}

kvmTest('conform() does not take for a late time what a reader answers where the record is not stable', async () => {
  const one = CASES.find(({ name }) => name === 'run-before-set-clock')!;
  const refused = calls((call, vcpu, symbol, options) =>
    symbol === 'kvmclock_read_landed' ? Promise.resolve(UNSTABLE) : call(vcpu, symbol, options),
  );
  assert.equal((await verdictOn(one, refused)).verdict, 'broken');
});
