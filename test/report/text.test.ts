import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { canRewrite, grouped, progressOn, styled, table, wantsColour } from '../../src/report/text.ts';

function output(isTerminal: boolean) {
  const written: string[] = [];
  return { isTerminal, colour: isTerminal, written, write: (text: string) => void written.push(text) };
}

describe('table()', () => {
  test('table() aligns columns, left or right, and ends no line with spaces', () => {
    const rows = [
      ['reader', 'ns', 'remark'],
      ['landed', '26.7', ''],
      ['before', '110', 'twice the vCPU'],
    ];
    assert.equal(
      table(rows, ['left', 'right']),
      'reader    ns  remark\n' + 'landed  26.7\n' + 'before   110  twice the vCPU\n',
    );
  });

  test('table() takes rows of different length, and none at all', () => {
    assert.equal(table([['a'], ['bb', 'c']]), 'a\nbb  c\n');
    assert.equal(table([]), '');
  });

  test('table() counts no colour in the width', () => {
    const red = styled(output(true), 'red', 'no');
    assert.equal(
      table([
        [red, 'x'],
        ['yes', 'x'],
      ]),
      `${red}   x\nyes  x\n`,
    );
  });
});

test('grouped() sets thousands apart', () => {
  assert.equal(grouped(10_000_000), '10 000 000');
  assert.equal(grouped(17_179_869_184n), '17 179 869 184');
  assert.equal(grouped(-1234), '-1 234');
  assert.equal(grouped(999), '999');
});

test('styled() colours only where the output shows it', () => {
  assert.equal(styled(output(true), 'green', 'sound'), '\x1b[32msound\x1b[0m');
  assert.equal(styled(output(false), 'green', 'sound'), 'sound');
});

test('canRewrite() asks for a terminal, and heeds TERM=dumb', () => {
  assert.equal(canRewrite(true, {}), true);
  assert.equal(canRewrite(false, {}), false);
  assert.equal(canRewrite(true, { TERM: 'dumb' }), false);
});

test('wantsColour() asks for a terminal, and heeds NO_COLOR', () => {
  assert.equal(wantsColour(true, {}), true);
  assert.equal(wantsColour(false, {}), false);
  assert.equal(wantsColour(true, { NO_COLOR: '1' }), false);
  assert.equal(wantsColour(true, { NO_COLOR: '' }), true);
});

test('progressOn() rewrites one line of a terminal, and writes nothing elsewhere', () => {
  const terminal = output(true);
  const file = output(false);
  for (const each of [terminal, file]) {
    const progress = progressOn(each);
    progress.show('half');
    progress.clear();
    progress.clear();
  }
  assert.deepEqual(terminal.written, ['\r\x1b[2K\x1b[?7lhalf\x1b[?7h', '\r\x1b[2K']);
  assert.deepEqual(file.written, []);
});
