import assert from 'node:assert/strict';
import { Http2Splitter } from '../../../src/protocols/http2-splitter.ts';
import type { Side } from '../../../src/protocols/protocol.ts';
import type { Cut } from '../../../src/protocols/splitter.ts';
import { ACK, data, frame, GET, headers, OK, PING, PREFACE, reset, SETTINGS, windowUpdate } from '../talks/frames.ts';

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));
const parts = (cuts: readonly Cut[]): string[] => cuts.flatMap((cut) => (cut.what === 'part' ? [`${cut.side} ${cut.stream} ${cut.role} ${cut.start}-${cut.end}`] : []));
const fed = (side: Side, text: string, step = text.length, whole = true): { cuts: Cut[]; splitter: Http2Splitter } => {
  const splitter = new Http2Splitter(whole);
  const cuts: Cut[] = [];
  for (let at = 0; at < text.length; at += step) {
    const borrowed = bytes(text.slice(at, at + step));
    splitter.push(side, borrowed, cuts);
    borrowed.fill(0xaa);
  }
  return { cuts, splitter };
};
const why = (text: string, side: Side = 'client'): string | undefined => fed(side, (side === 'client' ? PREFACE : '') + text).splitter.unsureBecause;

const CLIENT = PREFACE + SETTINGS + GET(1, '/a') + windowUpdate(0) + headers(3, { ':method': 'POST', ':path': '/b' }, false) + data(3, 'body') + windowUpdate(3) + PING + reset(1);

describe('the HTTP/2 splitter', () => {
  it('cuts a side into frames without holes, the same however it is fed', () => {
    const whole = fed('client', CLIENT).cuts;
    let end = 0;
    for (const cut of whole) {
      if (cut.what !== 'part') continue;
      assert.equal(cut.start, end);
      end = cut.end;
    }
    assert.equal(end, CLIENT.length);
    assert.deepEqual(whole.filter((cut) => cut.what === 'end').map(({ stream, reset: code }) => [stream, code]), [[1, undefined], [3, undefined], [1, 8]]);
    for (let step = 1; step < CLIENT.length; step += 1) assert.deepEqual(fed('client', CLIENT, step).cuts, whole, `in steps of ${step}`);
  });

  it('says which calls a write will open, and which it goes on with, without taking it in', () => {
    const { splitter } = fed('client', PREFACE + SETTINGS + GET(1, '/a').slice(0, 20));
    const next = GET(1, '/a').slice(20) + windowUpdate(0) + GET(3, '/b') + data(1, 'x') + GET(5, '/c');
    assert.deepEqual([splitter.opening('client', bytes(next)), splitter.saying('client', bytes(next))], [[1, 3, 5], [1, 3, 5]]);
    assert.deepEqual(splitter.saying('server', bytes(windowUpdate(1) + OK(3, 'x') + PING)), [3]);
    const cuts: Cut[] = [];
    splitter.push('client', bytes(next), cuts);
    assert.deepEqual(parts(cuts).map((line) => line.split(' ', 3).join(' ')), ['client 0 control', 'client 3 opens', 'client 1 says', 'client 5 opens']);
  });

  it('gives up, and says why, where a peer could not have meant it', () => {
    assert.equal(fed('client', `${PREFACE.slice(0, 20)}XXXX`).splitter.unsureBecause, 'no HTTP/2 preface');
    assert.equal(why(frame(0, 0, 0, 'data of no stream')), 'no HTTP/2 frame');
    assert.equal(why(frame(4, 0, 0, '12345')), 'no HTTP/2 frame');
    assert.equal(why(headers(2, {})), 'a stream that no client opens');
    assert.equal(why(frame(9, 4, 1, 'x')), 'a header block that goes on without having begun');
    assert.equal(why(frame(1, 0, 1, 'x') + PING), 'something else inside a header block');
    assert.equal(why(frame(0, 0, 1, 'x'.repeat(20_000))), 'a frame beyond 16384 bytes');
    assert.equal(why(SETTINGS + GET(1, '/')), undefined);
  });

  it('lets frames be as large as the other side allows', () => {
    const { splitter, cuts } = fed('server', frame(4, 0, 0, '\0\x05\0\x01\0\0'));
    splitter.push('client', bytes(PREFACE + SETTINGS + frame(0, 0, 1, 'x'.repeat(60_000))), cuts);
    assert.equal(splitter.sure, true);
  });

  it('does not read a header block beyond its cap, in one frame or in many, and says so', () => {
    for (const size of [300_000, 16_000]) {
      const { splitter, cuts } = fed('server', frame(4, 0, 0, '\0\x05\0\x0f\0\0'));
      const block = '\x82'.repeat(300_000);
      const fragments = Array.from({ length: Math.ceil(block.length / size) }, (_, at) => block.slice(at * size, (at + 1) * size));
      const text = fragments.map((part, at) => frame(at === 0 ? 1 : 9, at === fragments.length - 1 ? 4 : 0, 1, part)).join('');
      splitter.push('client', bytes(PREFACE + SETTINGS + text + GET(3, '/b')), cuts);
      assert.deepEqual(cuts.flatMap((cut) => (cut.what === 'fields' ? [[cut.stream, cut.block?.fields.length]] : [])), [[1, undefined], [3, 3]], `fragments of ${size}`);
      assert.equal(splitter.sure, true);
    }
  });

  it('passes over a gap inside a payload, and over none elsewhere', () => {
    const cuts: Cut[] = [];
    const inside = fed('client', PREFACE + data(1, 'x'.repeat(10)).slice(0, 12)).splitter;
    inside.gap('client', 7, cuts);
    inside.push('client', bytes(PING), cuts);
    assert.deepEqual([inside.sure, parts(cuts).length], [true, 1]);
    const beyond = fed('client', PREFACE + data(1, 'x'.repeat(10)).slice(0, 12)).splitter;
    beyond.gap('client', 8, cuts);
    assert.equal(beyond.unsureBecause, 'gap across the end of a frame');
    const head = fed('client', PREFACE + PING.slice(0, 4)).splitter;
    head.gap('client', 1, cuts);
    assert.equal(head.unsureBecause, 'gap in the head of a frame');
  });

  it('reads what a server promises without taking it for an answer, so that what follows is read rightly', () => {
    const promised = `\0\0\0\x02@\x05x-new\x05value`;
    const { cuts } = fed('server', SETTINGS + frame(5, 4, 1, promised) + frame(1, 5, 1, '\x88\xbe'));
    assert.deepEqual(cuts.flatMap((cut) => (cut.what === 'fields' ? cut.block?.fields : [])), [[':status', '200'], ['x-new', 'value']]);
  });

  it('neither throws nor cuts twice, whatever is flipped, missing or random', () => {
    let state = 20261;
    const next = (): number => {
      state = (state + 0x6d2b79f5) | 0;
      const t = Math.imul(state ^ (state >>> 15), 1 | state);
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
    const server = SETTINGS + ACK + OK(3, 'b') + headers(1, { ':status': '200' }, false) + data(1, 'a', false) + headers(1, { trailer: 'x' });
    for (let round = 0; round < 3_000; round += 1) {
      const splitter = new Http2Splitter(next() < 0.5);
      const cuts: Cut[] = [];
      const end = { client: 0, server: 0 };
      for (const [side, text] of [['client', CLIENT], ['server', server], ['client', CLIENT], ['server', server]] as const) {
        const hurt = bytes(text);
        if (next() < 0.7) hurt[Math.floor(next() * hurt.length)] = Math.floor(next() * 256);
        const cut = Math.floor(next() * hurt.length);
        splitter.push(side, hurt.subarray(0, cut), cuts);
        if (next() < 0.2) splitter.gap(side, Math.floor(next() * 40), cuts);
        splitter.push(side, hurt.subarray(cut), cuts);
      }
      for (const cut of cuts) {
        if (cut.what !== 'part') continue;
        assert.ok(cut.start === end[cut.side] && cut.end > cut.start, JSON.stringify(cut));
        end[cut.side] = cut.end;
      }
      assert.ok(splitter.sure || splitter.unsureBecause !== undefined);
    }
  });
});
