import assert from 'node:assert/strict';
import { RecordedSettings, settingsJudge, type RecordedConnections } from '../../../src/replay/recorded-settings.ts';
import type { Session } from '../../../src/sessions/session.ts';
import { judge } from '../../../src/replay/verdict.ts';
import { bytes, call, get, ok, prologue, session } from './build.ts';

const to = '10.0.0.6:6379';
const resp = (...words: string[]): string => `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`;
const ask = resp('GET', 'a');

/** A session that called Redis once, on a connection that had been set up by these commands. */
function onConnection(id: string, commands: readonly (readonly string[])[], more: readonly string[] = []): Session {
  const talk = (request: string) => { const one = call({ to, protocol: 'redis', request, response: '+OK\r\n' }); return { ...one, connection: { ...one.connection, id } }; };
  return session({
    id: `of-${id}`, request: get('/'), response: ok('x'), calls: [...more.map(talk), talk(ask)],
    prologues: commands.length === 0 ? [] : [{ ...prologue(to, commands.flatMap((words) => [['C', resp(...words)], ['S', '+OK\r\n']] as const)), connection: id }],
  });
}

const live = (values: Readonly<Record<string, string>>): string => JSON.stringify(Object.entries(values));
const recordingOf = (sessions: readonly Session[], whole?: readonly string[]): RecordedConnections => ({ sessions, ambient: [], ...(whole === undefined ? {} : { whole: new Set(whole) }) });

function found(recording: RecordedConnections, said: Readonly<Record<string, string>>, of = 0): string[] {
  const one = recording.sessions[of]!;
  return new RecordedSettings([recording]).differences(recording, one.outbound.at(-1)!, live(said), []).map(({ path, kind, recorded, live: now }) => `${path} ${kind} ${String(recorded)} ${String(now)}`);
}

describe('a live set-up', () => {
  const one = onConnection('1', [['SELECT', '1']]);

  it('that selects another database than the recorded one differs, and so does one that selects none', () => {
    assert.deepEqual(found(recordingOf([one]), { database: '1' }), []);
    assert.deepEqual(found(recordingOf([one]), { database: '5' }), ['connection.database changed 1 5']);
    assert.deepEqual(found(recordingOf([one]), {}), ['connection.database removed 1 undefined']);
    assert.deepEqual(found(recordingOf([one]), { database: '1', readonly: 'yes' }), ['connection.readonly added undefined yes']);
  });

  it('that is another recorded one differs only where it says whose or which database', () => {
    const two = [onConnection('1', [['SELECT', '1']]), onConnection('2', [['SELECT', '2'], ['READONLY']])];
    assert.deepEqual(found(recordingOf(two), { database: '2', readonly: 'yes' }), ['connection.database changed 1 2']);
    assert.deepEqual(found(recordingOf(two), { database: '1', readonly: 'yes' }), []);
    assert.deepEqual(found(recordingOf(two), { database: '2' }, 1), []);
  });

  it('is not judged by connections that are older than the recording', () => {
    assert.deepEqual(found(recordingOf([one], []), { database: '5' }), []);
    assert.deepEqual(found(recordingOf([onConnection('1', [])]), { database: '5' }), [], 'of a file of sessions nobody can tell');
  });

  it('differs where the recorded connection was whole and set nothing up', () => {
    assert.deepEqual(found(recordingOf([onConnection('1', [])], ['1']), { database: '5' }), ['connection.database added undefined 5']);
  });

  it('may have any value that a call set in the middle of a connection, or none', () => {
    const recording = recordingOf([one, onConnection('2', [['SELECT', '1']], [resp('SELECT', '7')])]);
    for (const said of [{ database: '1' }, { database: '7' }, {}]) assert.deepEqual(found(recording, said), []);
    assert.deepEqual(found(recording, { database: '8' }), ['connection.database changed 1 8']);
  });

  it('may have another value of what was another for each recorded connection, and of one that a driver makes', () => {
    const auth = (...users: string[]): RecordedConnections => recordingOf(users.map((user, at) => onConnection(String(at), [['READONLY'], ['AUTH', user, 'pw']])));
    const settings = (recording: RecordedConnections, user: string): string[] =>
      new RecordedSettings([recording]).differences(undefined, recording.sessions[0]!.outbound[0]!, live({ user, readonly: 'yes' }), []).map(({ kind }) => kind);
    assert.deepEqual(settings(auth('a', 'b', 'c'), 'd'), []);
    assert.deepEqual(settings(auth('a', 'b', 'b', 'a'), 'd'), ['changed']);
    const made = (n: number): string => `x-0f8fad5b-d9cb-469f-a165-70867728950${n}`;
    assert.deepEqual(settings(auth(made(1)), made(2)), []);
    assert.deepEqual(settings(auth(made(1), made(1)), made(2)), ['changed'], 'two connections had the same: it is no value of its own');
  });

  it('is a difference of each call on its connection, by its path, unless it is ignored', () => {
    const settings = settingsJudge([{ session: one }], []);
    const played = (said?: string) => ({
      session: one.id, response: bytes(ok('x')), responseEnd: 'message' as const, durationMs: 1,
      calls: [{ destination: to, protocol: 'redis', request: bytes(ask), how: 'exact' as const, recorded: 0, beganMs: 1, endedMs: 2, ...(said === undefined ? {} : { settings: said }) }],
    });
    const { verdict, calls } = judge(one, played(live({ database: '5' })), { threshold: 0.7, settings });
    assert.deepEqual([verdict, calls[0]?.verdict, calls[0]?.differences], ['different', 'different', [{ path: 'calls[0].connection.database', kind: 'changed', recorded: '1', live: '5' }]]);
    assert.equal(judge(one, played(live({ database: '1' })), { threshold: 0.7, settings }).verdict, 'same');
    assert.equal(judge(one, played(), { threshold: 0.7, settings }).verdict, 'same', 'of a protocol that knows no set-up nothing is said');
    const ignored = judge(one, played(live({ database: '5' })), { threshold: 0.7, settings, ignore: ({ path }) => (path === 'calls[0].connection.database' ? 'a rule' : undefined) });
    assert.deepEqual([ignored.verdict, ignored.noise], ['same', [{ path: 'calls[0].connection.database', rule: 'a rule' }]]);
  });
});
