import assert from 'node:assert/strict';
import { ClientPlaces } from '../../../src/replay/client-places.ts';

describe('the sessions of a client connection', () => {
  const [first, second, third] = ['first', 'second', 'third'].map((name) => ({ name, over: false }));

  it('are told apart by where their requests begin, also when the next one has begun', () => {
    const places = new ClientPlaces<{ name: string; over: boolean }>();
    places.know('10.0.0.1:1', 0, first!, 10);
    places.know('10.0.0.1:1', 80, second!, 10);
    places.know('10.0.0.2:1', 0, third!, 10);
    assert.equal(places.playOf('10.0.0.1:1', 0, 20), first);
    assert.equal(places.playOf('10.0.0.1:1', 80, 20), second);
    assert.equal(places.playOf('10.0.0.1:1', 40, 20), undefined, 'nobody is better than somebody');
    assert.equal(places.playOf('10.0.0.2:1', 7, 20), third, 'one that is alone is meant');
    assert.equal(places.playOf('10.0.0.3:1', 0, 20), undefined);
    assert.equal(places.playOf('10.0.0.2:1', 0, 5), undefined, 'the service took that connection before ours was dialled');
  });

  it('are forgotten when another connection has the same ends, and the oldest when they are over', () => {
    const places = new ClientPlaces<{ name: string; over: boolean }>();
    places.know('a:1', 0, first!, 10);
    places.know('a:1', 80, second!, 10);
    places.know('a:1', 0, third!, 10);
    assert.equal(places.playOf('a:1', 80, 20), third);
    for (let n = 0; n < 5_000; n += 1) places.know(`b:${n}`, 0, { name: '', over: true }, 10);
    assert.equal(places.playOf('a:1', 0, 20), third, 'it goes on');
    assert.equal(places.playOf('b:0', 0, 20), undefined);
    assert.ok(places.playOf('b:4999', 0, 20));
  });

  it('are nobody\'s once they were left, and do not become those of others at the same connection', () => {
    const places = new ClientPlaces<{ name: string; over: boolean }>();
    places.know('a:1', 0, first!, 10);
    places.know('a:1', 80, second!, 10);
    places.know('b:1', 0, third!, 10);
    places.leave('a:1', first!);
    places.leave('b:1', third!);
    assert.equal(places.playOf('a:1', 0, 20), undefined);
    assert.equal(places.playOf('a:1', 80, 20), second);
    assert.equal(places.playOf('b:1', 7, 20), undefined);
  });
});
