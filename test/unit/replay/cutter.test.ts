import assert from 'node:assert/strict';
import { protocolNamed } from '../../../src/protocols/index.ts';
import { RequestCutter } from '../../../src/replay/cutter.ts';
import { bytes, get, ok } from './build.ts';

const text = (request: Uint8Array): string => Buffer.from(request).toString('latin1');

describe('a live client\'s bytes', () => {
  const stream = get('/a') + 'POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello' + get('/c');

  it('are cut into the same requests wherever the stream is split', () => {
    for (let at = 0; at <= stream.length; at += 1) {
      const cutter = new RequestCutter(protocolNamed('http').framer());
      const cuts = [...cutter.push(bytes(stream.slice(0, at))), ...cutter.push(bytes(stream.slice(at)))];
      assert.deepEqual(cuts.map(({ request }) => text(request).split(' ')[1]), ['/a', '/b', '/c'], `split at ${at}`);
      assert.equal(cuts.map(({ request }) => text(request)).join(''), stream);
      assert.equal(cutter.pendingBytes, 0);
    }
  });

  it('stay pending without a protocol until somebody takes them', () => {
    const cutter = new RequestCutter(undefined);
    assert.deepEqual(cutter.push(bytes('hel')), []);
    assert.deepEqual(cutter.push(bytes('lo')), []);
    assert.equal(cutter.sure, false);
    assert.equal(text(cutter.pending()), 'hello');
    assert.equal(text(cutter.take().request), 'hello');
    assert.equal(cutter.pendingBytes, 0);
  });

  it('that were taken early are not cut a second time', () => {
    const cutter = new RequestCutter(protocolNamed('http').framer());
    const request = get('/a');
    cutter.push(bytes(request.slice(0, 10)));
    cutter.take();
    const cuts = cutter.push(bytes(request.slice(10) + get('/b')));
    assert.equal(cuts.map((cut) => text(cut.request)).join(''), request.slice(10) + get('/b'));
  });

  it('go on being cut after answers', () => {
    const cutter = new RequestCutter(protocolNamed('http').framer());
    for (const path of ['/a', '/b', '/c']) {
      assert.equal(cutter.push(bytes(get(path))).length, 1);
      cutter.answered(bytes(ok('{}')));
    }
    assert.equal(cutter.sure, true);
  });
});
