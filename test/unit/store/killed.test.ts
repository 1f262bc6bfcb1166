import { deepEqual, equal, ok } from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { dataOf, FakeClock, putData, readAll, removeTemporaryFolders, stream, temporaryFolder, writer } from './recordings.ts';

const PROGRAM = fileURLToPath(new URL('killed.ts', import.meta.url));

describe('a recorder that is killed', function () {
  this.timeout(60_000);
  afterEach(removeTemporaryFolders);

  it('leaves everything that it had written, in order, and a folder that the next one may take', async () => {
    const dir = join(temporaryFolder(), 'rec');
    for (let round = 1; round <= 3; round++) {
      const child = spawn(process.execPath, ['--import', 'tsx', PROGRAM, dir], { stdio: ['ignore', 'pipe', 'inherit'] });
      let said = '';
      child.stdout.on('data', (chunk: Buffer) => {
        said += chunk.toString();
        if (said.length > 500 * round) child.kill('SIGKILL');
      });
      await once(child, 'close');
      const written = Number(said.split('\n').at(-2));
      const { events, endedOrderly } = readAll(dir);
      equal(endedOrderly, false);
      const last = Math.max(...events.flatMap((event) => (event.kind === 'open' ? [event.connection] : [])));
      equal(last, round);
      const mine = events.filter((event) => event.kind === 'data' && event.connection === last);
      const positions = dataOf(mine);
      ok(positions.length * 5000 >= written, `${positions.length * 5000} of ${written} bytes`);
      deepEqual(positions, positions.map((_, index) => index * 5000));
      for (const event of mine) ok(event.kind === 'data' && Buffer.from(event.bytes).equals(stream(event.position, 5000)));
    }
    ok(readdirSync(dir).includes('recorder.lock'));
    const next = writer(dir, new FakeClock());
    putData(next, 1, 0, 4, 0n);
    next.close();
    const { events } = readAll(dir);
    equal(events.filter((event) => event.kind === 'pause' && event.resumedAtUs > 0).length, 3);
  });
});
