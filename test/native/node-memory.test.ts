/** Whose calls those of a Node program are, by V8's memory (`--read-memory node`), held against what the program says (programs/pools.mjs, requests.mjs). */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { readNodeFile } from '../../src/kernel/node/executable.ts';
import { nodeOf } from '../e2e/services/node-releases.ts';
import { whyNotRecordable } from '../e2e/recorder.ts';
import { skipIf } from '../skip.ts';

const script = fileURLToPath(new URL('contexts.mjs', import.meta.url));

interface Found {
  readonly sessions: number;
  readonly calls: number;
  readonly tied: number;
  readonly right: number;
  readonly byContext: number;
  readonly problems: readonly string[];
}

function found(node: string, program: string, ...args: readonly string[]): Found {
  const path = fileURLToPath(new URL(`programs/${program}`, import.meta.url));
  const ran = spawnSync(process.execPath, [script, '/usr/bin/python3', 'auto', node, path, ...args], {
    encoding: 'utf8', timeout: 100_000, env: { ...process.env, KOALA_TEST_FLAGS: '--read-memory node' },
  });
  return JSON.parse(ran.stdout || `{"problems":[${JSON.stringify(ran.stderr.slice(-2_000))}]}`) as Found;
}

/** Why the installed Node's memory can't be read. */
function whyUnknown(): string | undefined {
  const file = readNodeFile(process.execPath);
  return file !== undefined && 'types' in file ? undefined : `this Node's V8 is not known (${process.versions.v8})`;
}

describe('the memory of Node programs', function () {
  this.timeout(120_000);

  /** All are, and so many by the memory. */
  const toldAll = ({ byContext, ...rest }: Found, least: number): void => {
    assert.deepEqual(rest, { sessions: 64, calls: 320, tied: 320, right: 320, problems: [] });
    assert.ok(byContext >= least, `${byContext} by the memory`);
  };

  it('tells whose each call is, of 16 requests at a time whose calls are written in the wake of each other and say nothing of it', async function () {
    skipIf(this, await whyNotRecordable() ?? whyUnknown());
    toldAll(found(process.execPath, 'pools.mjs'), 160);
  });

  for (const release of [undefined, 22, 24, 26] as const) {
    it(`tells whose each call is that is made by fetch, by an agent, or written with those of others (${release === undefined ? 'the installed one' : `Node ${release}`})`, async function () {
      const had = release === undefined ? { node: process.execPath } : nodeOf(release);
      skipIf(this, await whyNotRecordable() ?? ('why' in had ? had.why : release === undefined ? whyUnknown() : undefined));
      if ('node' in had) toldAll(found(had.node, 'requests.mjs'), 240);
    });
  }

  it('tells whose each call is also where all wait in a list, and their calls are written one by one into a corked socket', async function () {
    skipIf(this, await whyNotRecordable() ?? whyUnknown());
    toldAll(found(process.execPath, 'requests.mjs', 'listed'), 240);
  });
});
