import assert from 'node:assert/strict';
import { UserError } from '../../../src/errors.ts';
import { rfc3339, sessionFromJson, sessionJson } from '../../../src/sessions/json.ts';
import type { Session } from '../../../src/sessions/session.ts';
import { bytesOf, GET, OK, Scene } from './scene.ts';

const SESSION: Session = {
  id: 'abcdefabcdef', startedAtUs: 1_700_000_000_123_456, durationMs: 1.5, entry: 'request', process: { tgid: 5, command: 'x' },
  inbound: {
    connection: { id: '1', local: '10.0.0.1:80', remote: '[::1]:9', protocol: 'unknown' },
    request: [{ atUs: 1_700_000_000_123_456, tid: 7, bytes: bytesOf('\0hi') }], response: [{ atUs: 1_700_000_000_123_500, tid: 7, gap: 3, cause: 'ring-full' }],
    end: { kind: 'reset', by: 'remote', errno: 104 },
  },
  outbound: [], ties: { proven: 0, likely: 0, unknown: 0 }, prologues: [], names: { 'db.local': ['10.1.1.1'] },
  certificate: { state: 'incomplete', lost: [{ connection: '1', direction: 'egress', from: 0, bytes: 3, cause: 'ring-full' }], unseen: [{ kind: 'tls', count: 1, detail: 'x.org' }] },
};

const withRequest = (bytes: Uint8Array): Session => ({ ...SESSION, inbound: { ...SESSION.inbound, request: [{ atUs: SESSION.startedAtUs, tid: 1, bytes }] } });
const edited = (change: (json: ReturnType<typeof sessionJson>) => void): unknown => {
  const json = sessionJson(SESSION);
  change(json);
  return JSON.parse(JSON.stringify(json));
};

describe('session JSON', () => {
  it('reads back what it wrote', () => {
    assert.deepEqual(JSON.parse(JSON.stringify(sessionJson(sessionFromJson(JSON.parse(JSON.stringify(sessionJson(SESSION))))))), JSON.parse(JSON.stringify(sessionJson(SESSION))));
    assert.equal(sessionFromJson(edited(() => undefined)).startedAtUs, SESSION.startedAtUs);
  });

  it('reads back header fields that the bytes alone don\'t tell, and names what is wrong in them', () => {
    const fields = { request: [[':path', '/'] as const], response: [[':status', '200'] as const], unknown: 'why' };
    const json = JSON.parse(JSON.stringify(sessionJson({ ...SESSION, inbound: { ...SESSION.inbound, fields } }))) as ReturnType<typeof sessionJson>;
    assert.deepEqual(json.inbound.fields, fields);
    assert.deepEqual(sessionFromJson(json).inbound.fields, fields);
    assert.throws(() => sessionFromJson({ ...json, inbound: { ...json.inbound, fields: { request: [['x']], response: [] } } }), /inbound\.fields\.request\[0\] .*a name and a value/);
  });

  it('shows every possible byte losslessly, and as text exactly where it is UTF-8', () => {
    const samples = [...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)), Uint8Array.of(0xef, 0xbb, 0xbf, 65), Uint8Array.of(0xc3, 0xa4),
      Uint8Array.of(0xed, 0xa0, 0x80), Uint8Array.of(0xf0, 0x9f, 0x90, 0xa8), Uint8Array.of(0xc0, 0x80), Uint8Array.of(0xef, 0xbf, 0xbd), new Uint8Array(0)];
    for (const bytes of samples) {
      const json = JSON.parse(JSON.stringify(sessionJson(withRequest(bytes)))) as ReturnType<typeof sessionJson>;
      const chunk = sessionFromJson(json).inbound.request[0]!;
      assert.deepEqual('bytes' in chunk ? [...chunk.bytes] : undefined, [...bytes]);
    }
    const isText = (bytes: Uint8Array): boolean => 'text' in sessionJson(withRequest(bytes)).inbound.request[0]!;
    assert.equal(isText(Uint8Array.of(0x80)), false);
    assert.equal(isText(Uint8Array.of(0xed, 0xa0, 0x80)), false);
    assert.equal(isText(Uint8Array.of(0xef, 0xbb, 0xbf, 65)), true);
  });

  it('counts microseconds from the start, whole, also where the clock gave fractions', () => {
    assert.equal(rfc3339(1_700_000_000_123_456.75), '2023-11-14T22:13:20.123457Z');
    const json = sessionJson({ ...SESSION, startedAtUs: SESSION.startedAtUs + 0.25 });
    assert.ok(json.inbound.request.every((chunk) => Number.isInteger(chunk.atUs)));
  });

  it('has the keys of the contract, in its order', () => {
    assert.deepEqual(Object.keys(sessionJson(SESSION)),
      ['format', 'id', 'startedAt', 'durationMs', 'entry', 'process', 'inbound', 'outbound', 'ties', 'prologues', 'names', 'certificate']);
  });

  it('reads back what the service told by helper datagrams, and names what a person broke in it', () => {
    const told = { command: 'read-storage', atUs: SESSION.startedAtUs + 40, tid: 7, bytes: bytesOf('k: \xff') } as const;
    const session: Session = { ...SESSION, told: [told, { ...told, bytes: bytesOf('k: v') }], traceHeader: { ti: 'abc' } };
    const json = sessionJson(session);
    assert.deepEqual(json.told, [{ command: 'read-storage', atUs: 40, tid: 7, base64: 'azog/w==' }, { command: 'read-storage', atUs: 40, tid: 7, text: 'k: v' }]);
    const { told: read, traceHeader } = sessionFromJson(JSON.parse(JSON.stringify(json)));
    assert.deepEqual([read?.map((one) => ({ ...one, bytes: new Uint8Array(one.bytes) })), traceHeader], [session.told, session.traceHeader]);
    assert.throws(() => sessionFromJson({ ...json, told: [{ ...json.told![0], command: 'dance' }] }), new UserError('Cannot read session: told[0].command is "dance"; expected "read-storage", "call-function", "return-function"'));
    assert.throws(() => sessionFromJson({ ...json, told: [{ command: 'read-storage', atUs: 0, tid: 1 }] }), /told\[0\].*"text" or "base64"/);
  });

  it('reads back a derived session with calls and a prologue', () => {
    const { sessions } = new Scene().accept(1).read(1, 7, GET('/')).connect(2, 7).read(2, 7, 'hello, who is there\n').write(2, 7, 'me\n').read(2, 7, 'ok\n')
      .close(2).write(1, 7, OK('x')).close(1).derive();
    const json = JSON.parse(JSON.stringify(sessionJson(sessions[0]!))) as unknown;
    assert.equal(sessionFromJson(json).prologues.length, 1);
    assert.deepEqual(JSON.parse(JSON.stringify(sessionJson(sessionFromJson(json)))), json);
  });

  const mistakes: [string, (json: ReturnType<typeof sessionJson>) => void, RegExp][] = [
    ['a chunk without bytes', (json) => delete (json.inbound.request[0] as { text?: string }).text, /inbound\.request\[0\].*one of "text", "base64" and "gap"/],
    ['a chunk with two kinds of bytes', (json) => Object.assign(json.inbound.request[0]!, { base64: 'aGk=' }), /inbound\.request\[0\]/],
    ['broken base64', (json) => { json.inbound.request[0] = { atUs: 0, tid: 1, base64: 'a' }; }, /inbound\.request\[0\]\.base64/],
    ['a lone surrogate', (json) => { json.inbound.request[0] = { atUs: 0, tid: 1, text: '\ud800' }; }, /inbound\.request\[0\]\.text/],
    ['a missing field', (json) => delete (json as { ties?: unknown }).ties, /ties is missing/],
    ['a time that is none', (json) => { json.startedAt = 'yesterday'; }, /startedAt is "yesterday"/],
    ['an unknown certainty', (json) => { json.certificate = { ...json.certificate, state: 'perfect' as never }; }, /certificate\.state is "perfect"; expected "complete"/],
    ['a newer format', (json) => { json.format = 'koala-bpf/session@2' as never; }, /newer koala-bpf/],
    ['another format', (json) => { json.format = 'other' as never; }, /format is "other"/],
    ['a negative gap', (json) => { json.inbound.response[0] = { atUs: 0, tid: 1, gap: -1, cause: 'unknown' }; }, /inbound\.response\[0\]\.gap/],
  ];
  for (const [what, change, message] of mistakes) {
    it(`names the path of ${what}`, () => {
      assert.throws(() => sessionFromJson(edited(change)), (error: Error) => error instanceof UserError && message.test(error.message) && !error.message.includes('\n'));
    });
  }

  it('refuses what is no object at all', () => {
    for (const value of [null, 3, 'x', [], undefined]) assert.throws(() => sessionFromJson(value), UserError);
  });
});
