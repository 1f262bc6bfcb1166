/** Real stacks, recorded from their start, replayed with all their dependencies stopped: the same build, and a changed one. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { load } from '../../src/replay/load.ts';
import type { Replayed, ReplayedCall } from '../../src/replay/replayed.ts';
import { koala, whyNotRecordable } from './recorder.ts';
import { cannotReplay } from './replay/stage.ts';
import { removeUnlessKept, temporaryDir } from './services/daemon.ts';
import type { Built } from './stacks/built.ts';
import { goBuild, goStack } from './stacks/go.ts';
import { javaBuild, javaStack } from './stacks/java.ts';
import { nodeBuild, nodeStack } from './stacks/node.ts';
import { phpBuild, phpStack } from './stacks/php.ts';
import { pythonBuild, pythonStack } from './stacks/python.ts';
import { recordWhole, REQUESTS } from './stacks/recorded.ts';
import { CHANGES, type Change, type Signs, type Stack } from './stacks/stack.ts';
import { skipIf } from '../skip.ts';

/** Three runs in a row: so many sessions at a time. */
const RUNS = [1, 8, 8] as const;

const STACKS: Readonly<Record<string, { build(): Built; start(dir: string): Promise<Stack> }>> = {
  'Node with pg, mysql2, ioredis and undici': { build: nodeBuild, start: nodeStack },
  'gunicorn threads with psycopg 3, prepared statements, and Redis': { build: pythonBuild, start: pythonStack('psycopg') },
  'gunicorn threads with psycopg2, and Redis': { build: pythonBuild, start: pythonStack('psycopg2') },
  'Go net/http with pgx': { build: goBuild, start: goStack },
  'php-fpm with MariaDB by mysqlnd, prepared and not': { build: phpBuild, start: phpStack },
  'Spring Boot with HikariCP and PostgreSQL in binary': { build: javaBuild, start: javaStack },
};

/** `koala-bpf replay` of everything in the recording. */
async function replayAll(dir: string, concurrency: number, command: readonly string[], flags: readonly string[] = []): Promise<{ exit: number | null; replayed: Replayed[]; stderr: string }> {
  const { exit, stdout, stderr } = await koala(['replay', dir, '--json', ...flags, '--concurrency', String(concurrency), '--', ...command], 150_000);
  const lines = stdout.map((line) => JSON.parse(line) as Replayed | { event: 'summary' });
  return { exit, stderr, replayed: lines.flatMap((line) => (line.event === 'session' ? [line] : [])) };
}

const shown = (some: readonly Replayed[], stderr: string): string => `${JSON.stringify(some.slice(0, 2), undefined, 1).slice(0, 6_000)}\n${stderr.slice(-1_500)}`;
const verdicts = (calls: readonly ReplayedCall[], verdict: ReplayedCall['verdict']): readonly ReplayedCall[] => calls.filter((call) => call.verdict === verdict);

/** Fails unless the session differs by this change, and by nothing else. */
function assertNames(change: Change, { calls, response }: Replayed, signs: Signs): void {
  const paths = response.differences.map(({ path }) => path);
  const odd = calls.filter(({ verdict }) => verdict !== 'same');
  switch (change) {
    case 'a field renamed':
      assert.deepEqual([paths.toSorted(), odd], [[`${signs.body}.item`, `${signs.body}.what`], []]);
      return;
    case 'a wrong status':
      assert.deepEqual([paths, odd], [['response.status'], []]);
      return;
    case 'a query added': case 'a dependency called twice':
      assert.deepEqual([odd.length, verdicts(calls, 'new').length], [1, 1]);
      assert.match(odd[0]?.summary ?? '', change === 'a query added' ? signs.added : signs.twice);
      return;
    case 'a query dropped':
      assert.deepEqual([odd.length, verdicts(calls, 'missing').length], [1, 1]);
      assert.match(odd[0]?.summary ?? '', signs.dropped);
      return;
    case 'a parameter changed':
      assert.deepEqual([odd.length, verdicts(calls, 'different').length], [1, 1]);
      assert.match(odd[0]?.differences.map(({ path }) => path).join(' ') ?? '', signs.parameter);
      return;
    case 'a call reordered':
      assert.ok(odd.length > 0 && verdicts(calls, 'reordered').length === odd.length);
      assert.deepEqual(paths, []);
  }
}

describe('replay of a real stack, its dependencies stopped', function () {
  this.timeout(400_000);

  before(async function () {
    skipIf(this, cannotReplay() ?? await whyNotRecordable());
  });

  for (const [name, { build, start }] of Object.entries(STACKS)) {
    describe(name, () => {
      const dir = temporaryDir('stack');
      let stack: Stack | undefined;

      before(async function () {
        const made = build();
        if ('why' in made) {
          console.log(`      skipped: ${made.why}`);
          this.skip();
        }
        stack = await recordWhole(() => start(made.dir), join(dir, 'rec'));
      });

      after(() => {
        stack?.remove();
        removeUnlessKept(dir, stack?.command.join(' '));
      });

      it('is the same three times in a row, one session at a time and eight', async () => {
        const recorded = load([join(dir, 'rec')], [], 5_000).length;
        assert.ok(recorded >= REQUESTS + 20, `${recorded} sessions were recorded`);
        for (const concurrency of RUNS) {
          const { exit, replayed, stderr } = await replayAll(join(dir, 'rec'), concurrency, stack!.command);
          const others = replayed.filter(({ verdict }) => verdict !== 'same');
          assert.deepEqual(others.map(({ summary, verdict, reason }) => [summary, verdict, reason]), [], `${concurrency} at a time: ${shown(others, stderr)}`);
          assert.equal(exit, 0);
          assert.equal(replayed.length, recorded);
          assert.ok(replayed.every(({ calls, summary }) => !summary.startsWith('GET /orders/') || calls.length >= stack!.calls), shown(replayed, stderr));
        }
      });

      it('of a changed build differs in exactly the sessions that the change touches, and each report names it', async () => {
        // A changed call is answered as the most similar one, so that what comes after it is seen too.
        const { exit, replayed, stderr } = await replayAll(join(dir, 'rec'), 8, ['env', 'SHOP_CHANGE=yes', ...stack!.command], ['--match', 'sim']);
        assert.equal(exit, 1, stderr);
        const seen = new Set<Change>();
        for (const one of replayed) {
          const number = /^GET \/orders\/(\d+)/.exec(one.summary)?.[1];
          const change = number === undefined ? undefined : CHANGES[Number(number) % 10];
          assert.equal(one.verdict, change === undefined ? 'same' : 'different', `${change}: ${shown([one], stderr)}`);
          if (change === undefined) continue;
          seen.add(change);
          try {
            assertNames(change, one, stack!.signs);
          } catch (error) {
            throw new Error(`${change}: ${String(error)}\n${shown([one], stderr)}`, { cause: error });
          }
        }
        assert.equal(seen.size, 7);
      });
    });
  }
});
