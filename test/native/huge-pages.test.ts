/** Buffers in a huge page that is split and put together meanwhile: for a moment the kernel refuses to read them to a probe. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compiled, project } from './compiled.ts';
import { connections, patience, startRecorder, whyNoRecorder } from './recorder.ts';
import { startTold, type ToldProgram } from './told-program.ts';
import { skipIf } from '../skip.ts';

const MESSAGES = 10_000;
const BYTES = MESSAGES * 16_384;
/** As the program has it. */
const FILL = 7;

describe('buffers in a huge page', function () {
  this.timeout(60_000 * patience);
  let folder: string;
  let program: ToldProgram | undefined;

  before(function () {
    skipIf(this, whyNoRecorder());
    folder = mkdtempSync(join(tmpdir(), 'koala-huge-'));
  });
  after(() => {
    program?.end();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  it('are read though it is split and put together all the while', async function () {
    const source = join(project, 'test/native/programs/huge.c');
    program = await startTold(compiled('huge', [source], [source], '-pthread'), [String(MESSAGES)], ({ ready }) => ready === true);
    const recorder = await startRecorder(join(folder, 'rec'), ['--pid', String(program.pid)], ['--ring-bytes', '256MiB']);
    const said = await program.go(({ bytes, refused }) => bytes !== undefined || refused !== undefined, 30_000);
    const { summary } = await recorder.stop();
    skipIf(this, said['refused'] === undefined ? undefined : `this kernel puts no pages together when asked (errno ${said['refused']})`);
    assert.equal(said['bytes'], BYTES);
    assert.ok(Number(said['together']) >= 50, `put together ${said['together']} times`);
    // One in a hundred may last longer than a probe looks (a busy machine); that is declared. Without looking again it is one in thirty and more.
    const unreadable = summary?.lostEvents?.['unreadable'] ?? 0;
    console.log(`      put together ${said['together']} times, unreadable ${unreadable}`);
    assert.ok(unreadable <= Number(said['together']) / 100, `unreadable ${unreadable} times`);
    const hash = createHash('sha256').update(Buffer.alloc(BYTES, FILL)).digest('hex');
    for (const { ingress, egress } of (await connections(join(folder, 'rec'))).filter((one) => one.tgid === program?.pid)) {
      for (const stream of [ingress, egress]) {
        const missing = stream.gaps.reduce((sum, { bytes }) => sum + bytes, 0);
        assert.ok(stream.bytes + missing === BYTES || stream.bytes + missing === 0);
        if (missing === 0 && stream.bytes > 0) assert.equal(stream.sha256, hash);
      }
    }
  });
});
