/** A build that sets its connections up in another way, through the command as a user types it. */
import assert from 'node:assert/strict';
import type { Replayed } from '../../src/replay/replayed.ts';
import type { Session } from '../../src/sessions/session.ts';
import { call, prologue } from '../unit/replay/build.ts';
import { startReplay } from './replay/command.ts';
import { cannotReplay, planned, PORT, SERVICE, type Step } from './replay/stage.ts';
import { skipIf } from '../skip.ts';

const REDIS = '10.0.0.6:6379';
const POSTGRESQL = '10.0.0.7:5432';
const resp = (...words: string[]): string => `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`;

function message(type: string, payload: string): string {
  const length = Buffer.alloc(4);
  length.writeInt32BE(payload.length + 4);
  return type + length.toString('latin1') + payload;
}

const startup = message('', '\0\x03\0\0user\0shop\0database\0goods\0application_name\0web-4711\0\0');
const ready = message('Z', 'I');
const admitted = message('R', '\0\0\0\0') + message('S', 'server_version\x0016.1\0') + message('K', 'aaaabbbb') + ready;
const set = message('C', 'SET\0') + ready;
const one = message('C', 'SELECT 1\0') + ready;
const query = (sql: string): string => message('Q', `${sql}\0`);

/** Two calls, on connections that are set up first; the service of the plan `now` does so in another way. */
function recorded(now: { database?: string; path?: string; name?: string } = {}): Session {
  const { database = '1', path = 'shop', name = 'web-4711' } = now;
  const steps: Step[] = [
    { to: REDIS, send: resp('SELECT', database), read: 5, keep: 'redis' }, { to: REDIS, send: resp('GET', 'a'), read: 7, keep: 'redis' },
    { to: POSTGRESQL, send: startup.replace('web-4711', name), read: admitted.length, keep: 'sql' },
    { to: POSTGRESQL, send: query(`SET search_path = ${path}`), read: set.length, keep: 'sql' }, { to: POSTGRESQL, send: query('SELECT a'), read: one.length, keep: 'sql' },
  ];
  const redis = call({ to: REDIS, protocol: 'redis', request: resp('GET', 'a'), response: '$1\r\nx\r\n' });
  const sql = call({ to: POSTGRESQL, protocol: 'postgresql', request: query('SELECT a'), response: one });
  return planned(steps, ['+OK\r\n', '$1\r\nx\r\n', admitted, set, one], [redis, sql], {
    id: `${database}-${path}-${name}`,
    prologues: [
      { ...prologue(REDIS, [['C', resp('SELECT', '1')], ['S', '+OK\r\n']]), connection: redis.connection.id },
      { ...prologue(POSTGRESQL, [['C', startup], ['S', admitted], ['C', query('SET search_path = shop')], ['S', set]]), connection: sql.connection.id },
    ],
  });
}

describe('replay of a build that sets its connections up otherwise', function () {
  this.timeout(60_000);

  before(function () {
    skipIf(this, cannotReplay());
  });

  async function played(session: Session, ...flags: string[]): Promise<{ status: number | null; replayed: Replayed; said: string }> {
    const { status, stdout, stderr } = await startReplay([session], ['--json', ...flags, '--', process.execPath, SERVICE, String(PORT)]).outcome;
    return { status, replayed: JSON.parse(stdout.split('\n')[0] ?? '{}') as Replayed, said: stdout + stderr };
  }

  it('is the same where only who asks has another name', async () => {
    const { status, said } = await played(recorded({ name: 'web-9999' }));
    assert.equal(status, 0, said);
  });

  it('differs in the calls that went to another database or schema, and says which', async () => {
    const { status, replayed, said } = await played(recorded({ database: '5', path: 'other' }));
    assert.equal(status, 1, said);
    assert.deepEqual(replayed.calls.map(({ verdict, differences }) => [verdict, ...differences]), [
      ['different', { path: 'calls[0].connection.database', kind: 'changed', recorded: '1', live: '5' }],
      ['different', { path: 'calls[1].connection.search_path', kind: 'changed', recorded: 'shop', live: 'other' }],
    ], said);
    assert.equal(replayed.response.verdict, 'same', 'it is answered all the same');
  });

  it('is the same where that is declared', async () => {
    const { status, said } = await played(recorded({ database: '5' }), '--ignore', 'calls[*].connection.database');
    assert.equal(status, 0, said);
  });
});
