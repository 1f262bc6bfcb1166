/** Whose calls those of a Node program are, by V8's memory, held against what the program says (programs/pools.mjs, requests.mjs). */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readNodeFile } from '../../src/kernel/node/executable.ts';
import { built } from '../e2e/stacks/built.ts';
import { nodeOf } from '../e2e/services/node-releases.ts';
import { whyNotRecordable } from '../e2e/recorder.ts';
import { skipIf } from '../skip.ts';
import { attach } from './attached.ts';
import { allAreRight, judged, type Judged } from './judged.ts';
import { until } from './subject.ts';

const PROGRAMS = fileURLToPath(new URL('programs/', import.meta.url));

function found(node: string, program: string, ...args: readonly string[]): Judged {
  return judged([node, join(PROGRAMS, program), ...args], { KOALA_TEST_FLAGS: '--read-memory node' });
}

/** Begins to write to a server of its own at the first byte of its standard input: so often, one after the other, and ends. */
const WRITES = 50_000;
const WRITER = `
const net = require('node:net');
const server = net.createServer((socket) => { socket.resume(); }).listen(0, '127.0.0.1', () => {
  const socket = net.connect(server.address().port, '127.0.0.1').setNoDelay();
  let left = ${WRITES};
  const write = () => { if (left-- > 0) socket.write('x', () => { setImmediate(write); }); else process.exit(); };
  process.stdin.once('data', write);
});`;

/** The line that `attach` ends with of how much of a program's memory it read, while that wrote. */
async function saidOfReads(...flags: readonly string[]): Promise<string | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'koala-reads-'));
  const writer = spawn(process.execPath, ['-e', WRITER], { stdio: ['pipe', 'ignore', 'inherit'] });
  const recorder = attach(['--pid', String(writer.pid), '--out', join(folder, 'rec'), ...flags]);
  try {
    await until(() => recorder.stderr().includes('recording node'), 'attach records');
    writer.stdin.write('x');
    assert.equal(await recorder.ended, 0, recorder.stderr());
    return /for \d+% of what it wrote/.exec(recorder.stderr())?.[0];
  } finally {
    writer.kill('SIGKILL');
    recorder.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  }
}

/** Why the installed Node's memory can't be read. */
function whyUnknown(): string | undefined {
  const file = readNodeFile(process.execPath);
  return file !== undefined && 'types' in file ? undefined : `this Node's V8 is not known (${process.versions.v8})`;
}

describe('the memory of Node programs', function () {
  this.timeout(120_000);

  it('tells whose each call is, of 16 requests at a time whose calls are written in the wake of each other and say nothing of it', async function () {
    skipIf(this, await whyNotRecordable() ?? whyUnknown());
    allAreRight(found(process.execPath, 'pools.mjs'), 160);
  });

  for (const release of [undefined, 22, 24, 26] as const) {
    it(`tells whose each call is that is made by fetch, by an agent, or written with those of others (${release === undefined ? 'the installed one' : `Node ${release}`})`, async function () {
      const had = nodeOf(release);
      skipIf(this, await whyNotRecordable() ?? ('why' in had ? had.why : release === undefined ? whyUnknown() : undefined));
      if ('node' in had) allAreRight(found(had.node, 'requests.mjs'), 240);
    });
  }

  for (const framework of ['Express', 'Fastify', 'hapi', 'Koa']) {
    it(`tells whose each call is also by way of ${framework}, however deep that is on the stack and whatever its objects lead to`, async function () {
      const made = built('frameworks', ['npm'], [['npm', 'ci', '--silent', '--ignore-scripts']], join(PROGRAMS, 'frameworks'));
      skipIf(this, await whyNotRecordable() ?? ('why' in made ? made.why : whyUnknown()));
      if ('dir' in made) allAreRight(found(process.execPath, 'requests.mjs', 'by', join(made.dir, 'servers.mjs'), framework), 240);
    });
  }

  it('is read by itself, in no more than a tenth of the time, and it is said what was left out; in all of it where that is asked for, and not at all', async function () {
    skipIf(this, await whyNotRecordable() ?? whyUnknown());
    const [, share = 'none'] = /for (\d+)%/.exec(await saidOfReads() ?? '') ?? [];
    assert.ok(Number(share) > 0 && Number(share) < 100, `${share} of 100`);
    for (const flag of ['node', 'none']) assert.equal(await saidOfReads('--read-memory', flag), undefined, flag);
  });

  it('tells by itself whose each call is, in a service that was busy for no longer than a second', async function () {
    skipIf(this, await whyNotRecordable() ?? whyUnknown());
    allAreRight(judged([process.execPath, join(PROGRAMS, 'requests.mjs')]), 240);
  });

  it('tells whose each call is also where a request begins several, and waits for one after the other; and is no sign against it where it does not tell', async function () {
    skipIf(this, await whyNotRecordable() ?? whyUnknown());
    const command = [process.execPath, join(PROGRAMS, 'requests.mjs'), 'apart'];
    allAreRight(judged(command, { AT_A_TIME: '1' }), 0);
    const { byContext, tied, right } = judged(command);
    // For one of four connections some wait long; what is left then is tied by who waits, which may be wrong.
    assert.ok(byContext >= 200 && tied - right <= 3, `${byContext} by its memory, ${tied - right} of ${tied} wrong`);
  });

  it('tells whose each call is also where all wait in a list, and their calls are written one by one into a corked socket', async function () {
    skipIf(this, await whyNotRecordable() ?? whyUnknown());
    allAreRight(found(process.execPath, 'requests.mjs', 'listed'), 240);
  });
});
