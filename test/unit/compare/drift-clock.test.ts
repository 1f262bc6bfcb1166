import assert from 'node:assert/strict';
import { isOfClock, type Moment } from '../../../src/compare/index.ts';

const DAY_MS = 86_400_000;
/** Between the beginning of a session and its call 40 ms pass. */
const moment = (atMs: number): Moment => ({ fromMs: atMs - 40, toMs: atMs });
const recordedMs = Date.parse('2026-11-20T10:15:30.500Z');
const liveMs = Date.parse('2026-11-24T16:45:10.200Z');
const written = (ms: number): string => new Date(ms).toISOString();
const seconds = (ms: number): string => String(Math.floor(ms / 1000));
const day = (ms: number): string => written(ms).slice(0, 10);
const isIt = (recorded: string, live: string, now = liveMs): boolean => isOfClock(recorded, live, moment(recordedMs), moment(now));

describe('two times that differ are the clock\'s', () => {
  it('where each is of its own moment, however it is written', () => {
    for (const write of [written, seconds, (ms: number) => String(ms), (ms: number) => String(ms * 1_000), (ms: number) => new Date(ms).toUTCString()]) {
      assert.ok(isIt(write(recordedMs - 10), write(liveMs - 10)), write(liveMs));
    }
  });

  it('where each is a round while away from it, and not where it is any while', () => {
    for (const apartMs of [15 * 60_000, 3_600_000, DAY_MS, 30 * DAY_MS, -3_600_000]) assert.ok(isIt(seconds(recordedMs + apartMs), seconds(liveMs + apartMs)), String(apartMs));
    assert.equal(isIt(seconds(recordedMs + 3_600_000), seconds(liveMs + 7_200_000)), false, 'another while now');
    assert.equal(isIt('1700000001', '1700000009', recordedMs + 8_000), false, 'ids that look like times, as far apart as the two runs');
    assert.equal(isIt(seconds(recordedMs), seconds(liveMs + 25_000)), false, 'within half a minute of now is not now');
  });

  it('where as many days lie between them as passed, and not where a date that was asked for is the next one', () => {
    assert.ok(isIt(day(recordedMs), day(liveMs)));
    assert.ok(isIt(day(recordedMs + DAY_MS), day(liveMs + DAY_MS)));
    assert.equal(isIt('2026-11-20', '2026-11-21', recordedMs + 600_000), false, 'ten minutes later it is the same day');
    assert.equal(isIt('2026-11-20', '2026-11-22'), false);
    assert.equal(isIt('2026-11-20T00:00:00Z', '2026-11-21T00:00:00Z', recordedMs + 600_000), false, 'a midnight is no better than a day');
    assert.ok(isOfClock('2026-11-20', '2026-11-21', moment(Date.parse('2026-11-20T23:59:59.990Z')), moment(Date.parse('2026-11-21T00:00:10Z'))), 'midnight passed');
  });

  it('where whole minutes and hours are counted alike', () => {
    assert.ok(isIt('2026-11-20T10:00:00Z', '2026-11-24T16:00:00Z'));
    assert.ok(isIt('2026-11-20T10:15:00Z', '2026-11-24T16:45:00Z'));
    assert.equal(isIt('2026-11-20T10:00:00Z', '2026-11-24T15:00:00Z'), false);
  });
});
