import assert from 'node:assert/strict';
import { paced } from '../../../src/replay/pace.ts';
import { Replies } from '../../../src/replay/replies.ts';

const chunk = (atUs: number, text: string): { atUs: number; tid: number; bytes: Uint8Array } => ({ atUs, tid: 1, bytes: Buffer.from(text) });
const recorded = { request: [chunk(1_000, 'a'), chunk(5_000, 'sk')], response: [chunk(25_000, 'one'), chunk(30_000, 'two'), chunk(29_000, '3')] };
const steps = (pace: { latency: number; chunks: boolean }, bytes = 'onetwo3'): [number, string][] =>
  paced(Buffer.from(bytes), recorded, pace).map(({ afterMs, bytes: part }) => [afterMs, Buffer.from(part).toString()]);

describe('the pace of an answer', () => {
  it('is the recorded one, from the last byte of the request on, times its factor', () => {
    assert.deepEqual(steps({ latency: 1, chunks: false }), [[20, 'one'], [5, 'two'], [0, '3']]);
    assert.deepEqual(steps({ latency: 0.5, chunks: false }), [[10, 'one'], [2.5, 'two'], [0, '3']]);
  });

  it('keeps chunks apart without their pauses where only those are asked for', () => {
    assert.deepEqual(steps({ latency: 0, chunks: true }).map(([afterMs, text]) => [afterMs > 0, text]), [[false, 'one'], [true, 'two'], [true, '3']]);
  });

  it('is that of the last byte for an answer that is not the recorded one', () => {
    assert.deepEqual(steps({ latency: 1, chunks: true }, 'other bytes'), [[24, 'other bytes']]);
  });
});

describe('replies', () => {
  it('are said in the order in which they were asked for, and at once where nothing waits', async () => {
    const said: string[] = [];
    const replies = new Replies();
    replies.add(() => said.push('first'));
    assert.deepEqual([said, replies.waiting], [['first'], false]);
    let release: (text: string) => void = () => undefined;
    const slow = new Promise<string>((resolve) => { release = resolve; });
    replies.add((text) => said.push(text), () => slow);
    replies.add(() => said.push('third'));
    assert.deepEqual([said, replies.waiting], [['first'], true]);
    release('second');
    await new Promise((resolve) => { setTimeout(resolve, 5); });
    assert.deepEqual([said, replies.waiting], [['first', 'second', 'third'], false]);
  });
});
