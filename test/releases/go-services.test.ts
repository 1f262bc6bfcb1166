/**
 * Pairs of Go services built with other releases, and what these can build of gRPC-Go, x/net, pgx and go-redis: one asks the other, by gRPC
 * or over HTTP/2, 16 requests at a time. Run by `scripts/go-releases` (KOALA_GO_RELEASES names them), not by the suites: each takes minutes.
 */
import assert from 'node:assert/strict';
import { readGoExecutable } from '../../src/kernel/go/executable.ts';
import { whyNotRecordable } from '../e2e/recorder.ts';
import { runScenario } from '../e2e/scenario.ts';
import { byCertainty } from '../e2e/score.ts';
import { toldDependencies } from '../e2e/services/go-releases.ts';
import { goOverHttp2, goProgram, whyNotGo } from '../e2e/services/go.ts';
import { whyNotGrpc } from '../e2e/services/grpc.ts';
import { writeGoRelease } from '../go-releases-page.ts';
import { skipIf } from '../skip.ts';

const REQUESTS = 160;
const BUILDS_MS = 480_000;

for (const release of process.env['KOALA_GO_RELEASES']?.split(' ') ?? []) {
  describe(`Go services built with ${release}, the one that is asked stripped`, function () {
    this.timeout(BUILDS_MS + 400_000);

    before(async function () {
      skipIf(this, await whyNotRecordable() ?? whyNotGo('stripped', release) ?? whyNotGrpc(release));
    });

    it('have all of their places for probes', () => {
      const path = goProgram('stripped', release);
      const { probes } = readGoExecutable(path)?.functions(path) ?? {};
      const kinds = probes?.map((together) => together.map(({ probe }) => probe).filter((probe) => probe !== 'go_makes')) ?? [];
      assert.deepEqual(kinds.slice(0, 4), [['go_begins'], ['go_round_trip', 'go_writes', 'go_writes'], ['go_puts', 'go_opens'], ['go_takes', 'go_hands', 'go_serves']]);
      assert.ok((kinds[4]?.length ?? 0) >= 1, 'go_handles');
    });

    for (const [by, how] of [['grpc', 'by gRPC'], ['http2', 'over HTTP/2']] as const) {
      it(`have each call in the session that made it, also where the ids are hidden, asked ${how}`, async () => {
        const { parts, truthErrors, exchanges } = await runScenario(() => goOverHttp2({ by, how: 'stripped', release }), { requests: REQUESTS, clients: 16, warm: false });
        assert.deepEqual(truthErrors.slice(0, 5), []);
        assert.equal(exchanges.length, REQUESTS);
        const total = { calls: 0, right: 0, proven: 0, wrong: 0 };
        for (const { score, hidden } of parts) {
          total.calls += score.calls;
          total.right += hidden.right;
          total.wrong += hidden.wrong;
          total.proven += byCertainty(hidden, 'proven').right;
        }
        const program = [`${by === 'grpc' ? 'gRPC' : 'HTTP/2'}, pgx, database/sql, go-redis, errgroup`, toldDependencies(release)].join('; ').replace(/; $/, '');
        console.log(`      ${JSON.stringify(total)}`);
        writeGoRelease({ release, program, ...total });
        for (const { part, hidden } of parts) {
          assert.deepEqual({ right: hidden.right, wrong: hidden.wrong, lost: hidden.lost }, { right: hidden.calls, wrong: 0, lost: 0 }, `${part.name}\n${hidden.examples.join('\n')}`);
        }
      });
    }
  });
}
