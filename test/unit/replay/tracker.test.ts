import assert from 'node:assert/strict';
import { Attribution } from '../../../src/replay/tracker.ts';
import { GET, Scene } from '../sessions/scene.ts';

const ends = (connection: number): [string, string] => [`10.0.0.1:${40_000 + connection}`, '10.0.0.2:9000'];

function told(scene: Scene): Attribution {
  const attribution = new Attribution();
  for (const event of scene.events) attribution.push(event);
  return attribution;
}

describe('whose call it is, asked while it is made', () => {
  it('is told by the thread that read the request, before anything else happens on the connection', () => {
    const scene = new Scene().accept(1).read(1, 1, GET('/a')).connect(2).write(2, 1, GET('/b'));
    const owner = told(scene).ownerOf(...ends(2), 0);
    assert.deepEqual(owner, { client: '10.0.0.9:50001', openedAtUs: scene.events[0]?.atUs, position: 0, certainty: 'likely' });
  });

  it('is proven once threads are seen to serve one request at a time', () => {
    const scene = new Scene().workers().accept(1, 91).read(1, 91, GET('/a')).connect(2, 91).write(2, 91, GET('/b'));
    const owner = told(scene).ownerOf(...ends(2), 0);
    assert.deepEqual(owner === 'unseen' ? owner : [owner?.client, owner?.position, owner?.certainty], ['10.0.0.9:50001', 0, 'proven']);
  });

  it('is not known of an event loop that read two requests first', () => {
    const scene = new Scene().accept(1).read(1, 1, GET('/a')).accept(2).read(2, 1, GET('/b')).connect(3).connect(4).write(3, 1, GET('/c')).write(4, 1, GET('/d'));
    assert.equal(told(scene).ownerOf(...ends(4), 0), undefined);
  });

  it('tells requests of one connection apart by position', () => {
    const request = GET('/b');
    const scene = new Scene().accept(1).accept(2, 2).connect(3);
    scene.read(1, 1, GET('/a')).write(3, 1, request).read(3, 1, 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n').write(1, 1, 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    scene.read(2, 2, GET('/c')).write(3, 2, request);
    const owner = told(scene).ownerOf(...ends(3), request.length);
    assert.equal(owner === 'unseen' ? owner : owner?.client, '10.0.0.9:50002');
  });

  it('is unseen of a connection, and of bytes, that no event has told of', () => {
    const scene = new Scene().accept(1).read(1, 1, GET('/a')).connect(2).write(2, 1, GET('/b'));
    assert.equal(told(scene).ownerOf(...ends(3), 0), 'unseen');
    assert.equal(told(scene).ownerOf(...ends(2), GET('/b').length), 'unseen');
    scene.close(2);
    assert.equal(told(scene).ownerOf(...ends(2), 0), 'unseen');
  });
});
