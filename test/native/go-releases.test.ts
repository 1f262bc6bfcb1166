/**
 * Go programs built with other releases than the installed one, without DWARF: what is recorded of their goroutines, held against what they
 * say of themselves. KOALA_GO_RELEASES names other releases; `scripts/go-releases` runs it so, with all shapes of each.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { readGoExecutable } from '../../src/kernel/go/executable.ts';
import { whyNotRecordable } from '../e2e/recorder.ts';
import { goBuild } from '../e2e/services/go-releases.ts';
import { built } from '../e2e/stacks/built.ts';
import { writeGoRelease } from '../go-releases-page.ts';
import { skipIf } from '../skip.ts';
import { BUILD_MS, recordGoroutines, source } from './goroutines.ts';

const SHAPES = {
  'static, stripped': { tools: ['go'], env: ['CGO_ENABLED=0'], flags: ['-ldflags', '-s -w'] },
  'position-independent, stripped': { tools: ['go'], env: ['CGO_ENABLED=0'], flags: ['-buildmode=pie', '-ldflags', '-s -w'] },
  'made by the C linker, without DWARF': { tools: ['go', 'gcc'], env: ['CGO_ENABLED=1'], flags: ['-ldflags', '-w -linkmode external'] },
} as const;

type Shape = keyof typeof SHAPES;

/** Before 1.21 Go does not keep who began a goroutine; since 1.24 it speaks HTTP/2 in the clear, in between it has no other feature of these. */
const FEW: readonly (readonly [string, Shape])[] = [['1.18.10', 'static, stripped'], ['1.20.14', 'position-independent, stripped'], ['1.22.12', 'static, stripped']];
const named = process.env['KOALA_GO_RELEASES']?.split(' ');
const PROGRAMS = named?.flatMap((release) => (Object.keys(SHAPES) as Shape[]).map((shape) => [release, shape] as const)) ?? FEW;

describe('goroutines of programs of other Go releases', function () {
  this.timeout(BUILD_MS + 120_000);

  before(async function () {
    skipIf(this, await whyNotRecordable());
  });

  for (const [release, shape] of PROGRAMS) {
    it(`are told as it tells them itself by one of Go ${release}, ${shape}, and each call is in the session of the goroutine that asked for it`, function () {
      const { tools, env, flags } = SHAPES[shape];
      const made = built(`goroutines-${release}-${shape.replaceAll(/\W+/g, '-')}`, tools, goBuild({ program: 'program', release, flags, env, alone: true }), source);
      if ('why' in made) {
        console.log(`      skipped: ${made.why}`);
        this.skip();
      }
      const program = join(made.dir, 'program');
      const go = readGoExecutable(program);
      assert.equal(go?.version.split(' ')[0], `go${release}`);
      const probes = go?.functions(program)?.probes.flat().map(({ probe }) => probe) ?? [];
      assert.deepEqual(probes.filter((probe) => probe !== 'go_makes').slice(0, 4), ['go_begins', 'go_round_trip', 'go_writes', 'go_writes']);
      const { status, found } = recordGoroutines(program);
      const { events, wrong, calls, tied, right, proven, problems } = found;
      console.log(`      ${calls} calls, ${right} tied rightly, ${proven} proven`);
      assert.deepEqual({ problems, events, wrong, tied, right }, { problems: [], events: 96, wrong: 0, tied: calls, right: calls });
      assert.ok(calls >= 144 && proven * 2 >= calls, `${proven} of ${calls} are proven`);
      assert.equal(status, 0);
      writeGoRelease({ release, program: `net/http, ${shape}`, calls, right, proven, wrong: 0 });
    });
  }
});
