/**
 * The fixed point on real stacks: a replay that is recorded gives the sessions that were replayed. Statements that a client has
 * prepared are named and numbered by a connection, and which connection a call takes is chance (docs/replay.md): where a stack
 * does that, calls are held against each other as they are matched, each as if it stood alone.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { canonicalText, requestModel } from '../../src/compare/index.ts';
import { postgresqlMessage, readMessages } from '../../src/protocols/postgresql-messages.ts';
import { bytesOf } from '../../src/replay/calls.ts';
import { load } from '../../src/replay/load.ts';
import { isAgreed } from '../../src/replay/played.ts';
import type { ReplaySummary } from '../../src/replay/replayed.ts';
import { convertRow, formatsIn, withFormats } from '../../src/replay/statements/postgresql-rows.ts';
import type { Session } from '../../src/sessions/session.ts';
import { exported, koala, whyNotRecordable } from './recorder.ts';
import { allSaid, withoutEvidence } from './replay/fixed-point.ts';
import { cannotReplay } from './replay/stage.ts';
import { removeUnlessKept, temporaryDir } from './services/daemon.ts';
import type { Built } from './stacks/built.ts';
import { goBuild, goStack } from './stacks/go.ts';
import { javaBuild, javaStack } from './stacks/java.ts';
import { nodeBuild, nodeStack } from './stacks/node.ts';
import { phpBuild, phpStack } from './stacks/php.ts';
import { pythonBuild, pythonStack } from './stacks/python.ts';
import { probesSkipped, recordWhole, TRIES } from './stacks/recorded.ts';
import type { Stack } from './stacks/stack.ts';
import { skipIf } from '../skip.ts';

const QUIET_MS = 5_000;
/** The header that a service makes itself. */
const DATE = /(?<=\r\nDate: )[^\r]*/;

/** Type of a FastCGI record. */
const END_REQUEST = 3;

interface Row {
  build(): Built;
  start(dir: string): Promise<Stack>;
  /**
   * `bytes`: to the byte, but for the date; `alone`: each call as if it stood alone; `rows`: that with PostgreSQL's rows as text (pgjdbc
   * asks for text or binary by how often a connection was asked the same: which of the two a call gets is chance).
   */
  readonly equal: 'bytes' | 'alone' | 'rows';
}

const STACKS: Readonly<Record<string, Row>> = {
  'Node with pg, mysql2, ioredis and undici': { build: nodeBuild, start: nodeStack, equal: 'bytes' },
  'gunicorn threads with psycopg 3, prepared statements, and Redis': { build: pythonBuild, start: pythonStack('psycopg'), equal: 'alone' },
  'gunicorn threads with psycopg2, and Redis': { build: pythonBuild, start: pythonStack('psycopg2'), equal: 'bytes' },
  'Go net/http with pgx': { build: goBuild, start: goStack, equal: 'alone' },
  'php-fpm with MariaDB by mysqlnd, prepared and not': { build: phpBuild, start: phpStack, equal: 'alone' },
  'Spring Boot with HikariCP and PostgreSQL in binary': { build: javaBuild, start: javaStack, equal: 'rows' },
};

const text = (chunks: Parameters<typeof bytesOf>[0]): string => Buffer.from(bytesOf(chunks)).toString('latin1');

/** An answer of PostgreSQL whose rows are text. A column that can't be told as text stays as it is. */
function asText(response: Uint8Array): string {
  let columns: Uint8Array = new Uint8Array(0);
  const said = [...readMessages(response, 'server')].map(({ type, body }) => {
    if (type === 'T') columns = body;
    const row = type === 'D' ? convertRow(body, columns, formatsIn(columns), []) : body;
    return postgresqlMessage(type, type === 'T' ? withFormats(body, []) : typeof row === 'string' ? body : row);
  });
  return Buffer.concat(said).toString('latin1');
}

/** A session as it is matched, by its request. */
function alone({ inbound, outbound, certificate }: Session, rowsAsText: boolean): { readonly key: string; readonly said: unknown } {
  const calls = outbound.filter((talk) => !isAgreed(talk)).map((talk) =>
    [talk.connection.remote, canonicalText(requestModel(bytesOf(talk.request), talk.connection.protocol)), rowsAsText ? asText(bytesOf(talk.response)) : text(talk.response), talk.afterResponse ?? false]);
  const response = text(inbound.response);
  return { key: text(inbound.request), said: { response: inbound.connection.protocol === 'fastcgi' ? withoutPadding(response) : response.replace(DATE, ''), state: certificate.state, calls } };
}

/** What pads FastCGI's records, and what their end reserves, is whatever stood in php-fpm's memory. */
function withoutPadding(text: string): string {
  const bytes = Buffer.from(text, 'latin1');
  let said = '';
  for (let at = 0; at + 8 <= bytes.length;) {
    const end = at + 8 + bytes.readUInt16BE(at + 4);
    said += `${bytes[at + 1]} ${bytes.toString('latin1', at + 8, bytes[at + 1] === END_REQUEST ? at + 13 : end)}`;
    at = end + bytes[at + 6]!;
  }
  return said;
}

async function sessionsOf(dir: string, equal: Row['equal']): Promise<{ readonly key: string; readonly said: unknown }[]> {
  if (equal !== 'bytes') return load([dir], [], QUIET_MS).map(({ session }) => alone(session, equal === 'rows'));
  return allSaid((await exported(dir)).sessions, DATE).map((one) => ({ key: one.request, said: withoutEvidence(one) }));
}

/** Replays what `dir` holds, and records that; anew where the kernel skipped a probe. */
async function replayRecorded(dir: string, stack: Stack): Promise<{ readonly again: string; readonly summary: ReplaySummary }> {
  for (let at = 1; ; at += 1) {
    const again = `${dir}-${at}`;
    const { exit, stdout, stderr } = await koala(['replay', dir, '--json', '--record', again, '--latency', 'recorded', '--concurrency', String(stack.clients), '--startup-timeout', '120s', '--', ...stack.command], 200_000);
    assert.equal(exit, 0, stderr.slice(-2_000));
    if (at === TRIES || !probesSkipped(again)) return { again, summary: JSON.parse(stdout.at(-1) ?? '') as ReplaySummary };
    console.log('      the kernel skipped a probe: replayed anew');
  }
}

describe('the recording of a replayed stack', function () {
  this.timeout(400_000);

  before(async function () {
    skipIf(this, cannotReplay() ?? await whyNotRecordable());
  });

  for (const [name, { build, start, equal }] of Object.entries(STACKS)) {
    it(`holds the sessions that were replayed ${equal === 'bytes' ? 'to the byte' : 'call by call'}, and no others: ${name}`, async function () {
      const made = build();
      if ('why' in made) {
        console.log(`      skipped: ${made.why}`);
        this.skip();
      }
      const folder = temporaryDir('fixed');
      const dir = join(folder, 'rec');
      const stack = await recordWhole(() => start(made.dir), dir);
      try {
        const originals = await sessionsOf(dir, equal);
        const { again, summary } = await replayRecorded(dir, stack);
        assert.equal(summary.same, originals.length);
        const copies = await sessionsOf(again, equal);
        assert.equal(copies.length, originals.length + summary.again, 'a session each, and one more for each that was played again');
        const differing = originals.flatMap(({ key, said }) => {
          const of = copies.filter((copy) => copy.key === key);
          return of.length > 0 && of.every((copy) => isSame(copy.said, said)) ? [] : [{ said, copies: of.map((copy) => copy.said) }];
        });
        assert.equal(differing.length, 0, `${differing.length} of ${originals.length}: ${JSON.stringify(differing[0])?.slice(0, 6_000)}`);
      } finally {
        await stack.stopDependencies();
        stack.remove();
        removeUnlessKept(folder);
      }
    });
  }
});

const isSame = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);
