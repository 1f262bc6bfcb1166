import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClockHand, isGo } from '../../../src/replay/clock.ts';

describe('the recorded clock', () => {
  let folder = '';
  beforeEach(() => { folder = mkdtempSync(join(tmpdir(), 'koala-test-')); });
  afterEach(() => { rmSync(folder, { recursive: true }); });

  it('is told as seconds from the real one, and only goes forward where sessions share it', () => {
    const file = join(folder, 'now');
    const says = (): string => readFileSync(file, 'utf8').trim();
    const shared = new ClockHand(file, false);
    shared.set(1_000_000, 5_000_500);
    assert.equal(says(), '-4000.500');
    shared.set(999_000, 5_000_500);
    assert.equal(says(), '-4000.500', 'not back');
    shared.set(1_002_000, 5_000_500);
    assert.equal(says(), '-3998.500');
    new ClockHand(file, true).set(999_000, 5_000_500);
    assert.equal(says(), '-4001.500');
    new ClockHand(file, true).set(6_000_000, 5_000_000);
    assert.equal(says(), '+1000.000');
  });

  it('says what the service is told, and the real time before it was set', () => {
    const hand = new ClockHand(join(folder, 'now'), true);
    assert.equal(hand.now(5_000_000), 5_000_000);
    hand.set(1_000_000, 5_000_000);
    assert.equal(hand.now(5_000_700), 1_000_700);
  });

  it('knows Go programs, which it can\'t reach, wherever their mark stands', () => {
    const file = join(folder, 'program');
    writeFileSync(file, Buffer.concat([Buffer.alloc((1 << 20) - 5), Buffer.from('\xff Go buildinf:', 'latin1'), Buffer.alloc(100)]));
    assert.equal(isGo(file), true);
    writeFileSync(file, Buffer.alloc(3 << 20));
    assert.equal(isGo(file), false);
    assert.equal(isGo(join(folder, 'none')), false);
  });
});
