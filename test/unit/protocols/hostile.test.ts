/** What no framer may do, whatever it is fed: throw, loop, remember too much, or hand out frames that overlap. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { maxHeadBytes, maxUnanswered } from '../../../src/protocols/http-framer.ts';
import { PROTOCOLS, recognise, unknown } from '../../../src/protocols/index.ts';
import type { Frame, Protocol, Side } from '../../../src/protocols/protocol.ts';
import { readDialogues } from '../../conversations/dialogue.ts';
import type { Dialogue } from '../../conversations/dialogue.ts';

const folder = new URL('../../conversations/', import.meta.url);
const dialogues: Dialogue[] = readdirSync(folder).filter((name) => name.endsWith('.md'))
  .flatMap((name) => readDialogues(name, readFileSync(new URL(name, folder), 'utf8')));

/** A small generator of one's own, so that a failure can be repeated by its seed (Mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function check(frames: readonly Frame[], pushed: Record<Side, number>): void {
  const end: Record<Side, number> = { client: 0, server: 0 };
  for (const frame of frames) {
    assert.ok(frame.start >= end[frame.side] && frame.end > frame.start && frame.end <= pushed[frame.side], JSON.stringify(frame));
    end[frame.side] = frame.end;
  }
}

function drive(protocol: Protocol, dialogue: Dialogue | undefined, next: () => number): void {
  const framer = protocol.framer();
  const out: Frame[] = [];
  const pushed: Record<Side, number> = { client: 0, server: 0 };
  const feed = (side: Side, bytes: Uint8Array): void => {
    framer.push(side, bytes, out);
    pushed[side] += bytes.length;
  };
  for (const step of dialogue?.steps ?? []) {
    if (step.kind !== 'bytes') continue;
    const bytes = new Uint8Array(step.bytes);
    const what = next();
    if (what < 0.3 && bytes.length > 0) bytes[Math.floor(next() * bytes.length)] = Math.floor(next() * 256); // a byte flipped
    if (what > 0.9) continue; // a step dropped
    feed(what > 0.8 ? 'server' : step.side, bytes);
    if (what > 0.7 && what <= 0.75) {
      const length = Math.floor(next() * 100);
      framer.gap(step.side, length, out);
      pushed[step.side] += length;
    }
  }
  for (let round = 0; round < 8; round++) {
    const bytes = Uint8Array.from({ length: Math.floor(next() * 64) }, () => Math.floor(next() * 256));
    feed(next() < 0.5 ? 'client' : 'server', bytes);
  }
  framer.end('client', out);
  framer.end('server', out);
  check(out, pushed);
  assert.ok(framer.sure || typeof framer.unsureBecause === 'string', 'it says why it is not sure');
}

describe('hostile bytes', () => {
  it('no framer throws or hands out overlapping frames, whatever is flipped, dropped, missing or random', () => {
    const next = random(20260);
    for (let round = 0; round < 60; round++) {
      for (const dialogue of dialogues) drive(PROTOCOLS.find(({ name }) => name === dialogue.protocol)!, dialogue, next);
      for (const protocol of PROTOCOLS) drive(protocol, undefined, next);
    }
  });

  it('no recogniser and no summary throws, and every summary is one line of at most 200 characters without control characters', () => {
    const next = random(7);
    const judged = (protocol: Protocol, request: Uint8Array, response: Uint8Array): void => {
      const { text, status } = protocol.summarise(request, response);
      for (const line of status === undefined ? [text] : [text, status]) {
        assert.ok(line.length <= 200, `${protocol.name}: ${line.length}`);
        assert.ok(!/[\x00-\x1f\x7f-\x9f\u2028\u2029\u202e]/.test(line), JSON.stringify(line));
      }
    };
    for (let round = 0; round < 40; round++) {
      for (const dialogue of dialogues) {
        const side = (wanted: Side): Uint8Array => {
          const bytes = Buffer.concat(dialogue.steps.map((step) => (step.kind === 'bytes' && step.side === wanted ? Buffer.from(step.bytes) : Buffer.alloc(0))));
          if (bytes.length > 0) bytes[Math.floor(next() * bytes.length)] = Math.floor(next() * 256);
          return new Uint8Array(bytes.subarray(0, Math.floor(next() * (bytes.length + 1))));
        };
        const [request, response] = [side('client'), side('server')];
        recognise(request, response, { serverPort: 5432 });
        for (const protocol of [...PROTOCOLS, unknown]) judged(protocol, request, response);
      }
    }
    judged(unknown, Buffer.from('\u202e\x1b[31m' + 'x'.repeat(5000)), new Uint8Array(0));
    judged(PROTOCOLS.find(({ name }) => name === 'http')!, Buffer.from(`GET /${'😀'.repeat(300)} HTTP/1.1\r\n`), new Uint8Array(0));
  });
});

describe('caps', () => {
  const http = PROTOCOLS.find(({ name }) => name === 'http')!;
  const feedUntilUnsure = (side: Side, opening: string, filler: Uint8Array, most: number): { fed: number; reason: string | undefined } => {
    const framer = http.framer();
    const out: Frame[] = [];
    framer.push('client', Buffer.from('GET / HTTP/1.1\r\n\r\n'), out);
    framer.push(side, Buffer.from(opening), out);
    let fed = 0;
    while (framer.sure && fed < most) {
      framer.push(side, filler, out);
      fed += filler.length;
    }
    return { fed, reason: framer.unsureBecause };
  };

  it('a header that never ends is given up at the cap: one line, many lines, many blank lines', () => {
    const most = maxHeadBytes * 2;
    for (const [opening, filler] of [['HTTP/1.1 200 OK\r\nX: ', 'x'.repeat(4096)], ['HTTP/1.1 200 OK\r\n', `X: ${'y'.repeat(100)}\r\n`], ['', '\r\n'.repeat(512)]] as const) {
      const { fed, reason } = feedUntilUnsure('server', opening, Buffer.from(filler), most);
      assert.equal(reason, `a header beyond ${maxHeadBytes} bytes`);
      assert.ok(fed <= maxHeadBytes + filler.length, `fed ${fed}`);
    }
  });

  it('chunk extensions and trailers that never end are given up', () => {
    const opening = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
    assert.match(feedUntilUnsure('server', `${opening}5;`, Buffer.from('x'.repeat(1000)), 1e6).reason ?? '', /chunk line beyond/);
    assert.match(feedUntilUnsure('server', `${opening}0\r\n`, Buffer.from('X: y\r\n'.repeat(100)), 4e6).reason ?? '', /header beyond/);
  });

  it('a head that trickles in byte by byte up to the cap costs linear time', () => {
    const framer = http.framer();
    const out: Frame[] = [];
    framer.push('client', Buffer.from('GET / HTTP/1.1\r\nX: '), out);
    const byte = Uint8Array.of(120);
    for (let i = 0; i < maxHeadBytes - 100; i++) framer.push('client', byte, out);
    framer.push('client', Buffer.from('\r\n\r\n'), out);
    assert.equal(out.length, 1);
  }).timeout(5000);

  it('requests that nobody answers are counted to a bound', () => {
    const framer = http.framer();
    const out: Frame[] = [];
    const request = Buffer.from('GET / HTTP/1.1\r\n\r\n');
    for (let i = 0; i <= maxUnanswered && framer.sure; i++) {
      framer.push('client', request, out);
      out.length = 0;
    }
    assert.equal(framer.unsureBecause, `more than ${maxUnanswered} requests without an answer`);
  });

  it('a body of many GiB is counted, not kept', () => {
    const framer = http.framer();
    const out: Frame[] = [];
    framer.push('client', Buffer.from('PUT / HTTP/1.1\r\nContent-Length: 8589934592\r\n\r\n'), out);
    const part = new Uint8Array(1 << 20);
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 8192; i++) framer.push('client', part, out);
    assert.deepEqual(out, [{ side: 'client', start: 0, end: 8589934592 + 46, role: 'request' }]);
    assert.ok(process.memoryUsage().arrayBuffers - before < 8 << 20);
  });
});
