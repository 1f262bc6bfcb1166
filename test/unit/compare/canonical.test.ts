import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { canonicalText, compareTalk, requestModel } from '../../../src/compare/index.ts';
import { readDialogues } from '../../conversations/dialogue.ts';

const NOTHING = new Uint8Array(0);
const key = (request: Uint8Array, protocol: string): string => canonicalText(requestModel(request, protocol));
const http = (text: string): string => key(Buffer.from(text), 'http');

describe('what a request asks', () => {
  it('is equal exactly where comparing finds no difference: any letter of any dialogue changed', () => {
    const folder = new URL('../../conversations/', import.meta.url);
    let flipped = 0;
    for (const file of readdirSync(folder).filter((name) => name.endsWith('.md'))) {
      for (const dialogue of readDialogues(file, readFileSync(new URL(file, folder), 'utf8'))) {
        if (dialogue.steps.some(({ kind }) => kind === 'gap')) continue;
        const client = Buffer.concat(dialogue.steps.map((step) => (step.side === 'client' && step.kind === 'bytes' ? step.bytes : NOTHING)));
        for (const { start, end } of dialogue.expected.frames.filter(({ side, role }) => side === 'client' && role === 'request')) {
          const request = client.subarray(start, end);
          const own = key(request, dialogue.protocol);
          for (let at = 0; at < Math.min(request.length, 2_000); at += 1) {
            const changed = new Uint8Array(request);
            changed[at]! ^= 1;
            const { verdict } = compareTalk({ request, response: NOTHING }, { request: changed, response: NOTHING }, dialogue.protocol);
            assert.equal(key(changed, dialogue.protocol) === own, verdict === 'same', `${file}: ${dialogue.title}: byte ${at} of ${JSON.stringify(request.toString('latin1').slice(0, 200))}`);
            flipped += 1;
          }
        }
      }
    }
    assert.ok(flipped > 3_000, `only ${flipped} bytes were changed`);
  });

  it('does not depend on the order of headers, query names, JSON keys and form fields, but on their values', () => {
    const one = 'POST /a?x=1&y=2 HTTP/1.1\r\nHost: h\r\nAccept: t\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{"a":1,"b":2}';
    const other = 'POST /a?y=2&x=1 HTTP/1.1\r\naccept: t\r\nHOST: h\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nDate: now\r\n\r\nf\r\n{"b":2, "a":1.0}\r\n0\r\n\r\n'.replace('\r\nf\r\n', '\r\n10\r\n');
    assert.equal(http(one), http(other));
    for (const [from, to] of [['x=1', 'x=3'], ['Accept: t', 'Accept: u'], ['"a":1', '"a":3'], ['POST', 'PUT'], ['/a?', '/b?']] as const) assert.notEqual(http(one), http(one.replace(from, to)), to);
    const form = (body: string): string => http(`POST /f HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    assert.equal(form('a=1&b=2'), form('b=2&a=1'));
    assert.notEqual(form('a=1&a=2'), form('a=2&a=1'));
  });

  it('does not mistake a number for a text, nor nothing for null', () => {
    assert.notEqual(canonicalText({ a: 1 }), canonicalText({ a: '1' }));
    assert.notEqual(canonicalText({ a: null }), canonicalText({}));
    assert.notEqual(canonicalText(['a', 'b']), canonicalText(['a,b']));
    assert.equal(canonicalText({ a: 1, b: [true] }), canonicalText({ b: [true], a: 1 }));
  });
});
