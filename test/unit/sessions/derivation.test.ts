import assert from 'node:assert/strict';
import { GET, OK, Scene, textOf } from './scene.ts';

describe('derivation', () => {
  it('makes a session of a request, the call it caused and its response, complete', () => {
    const { sessions, ambient } = new Scene()
      .accept(1, 1).read(1, 7, GET('/a')).connect(2, 7).write(2, 7, GET('/up')).read(2, 7, OK('up')).close(2, 7)
      .write(1, 7, OK('a')).close(1, 7)
      .derive();
    assert.equal(sessions.length, 1);
    const session = sessions[0]!;
    assert.equal(textOf(session.inbound.request), GET('/a'));
    assert.equal(textOf(session.inbound.response), OK('a'));
    assert.equal(session.outbound.length, 1);
    assert.equal(textOf(session.outbound[0]!.request), GET('/up'));
    assert.equal(textOf(session.outbound[0]!.response), OK('up'));
    assert.deepEqual([session.outbound[0]!.attribution, session.outbound[0]!.certainty], ['thread', 'likely'], 'one request alone does not tell a worker from an event loop');
    assert.deepEqual(session.ties, { proven: 0, likely: 1, unknown: 0 });
    assert.deepEqual(session.certificate, { state: 'complete', lost: [], unseen: [] });
    assert.deepEqual(ambient, []);
  });
});
