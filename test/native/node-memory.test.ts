/** Whose calls those of a Node program are, by V8's memory (`--read-memory node`), held against what the program says (programs/pools.mjs, requests.mjs). */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readNodeFile } from '../../src/kernel/node/executable.ts';
import { nodeOf } from '../e2e/services/node-releases.ts';
import { whyNotRecordable } from '../e2e/recorder.ts';
import { skipIf } from '../skip.ts';
import { allAreRight, judged, type Judged } from './judged.ts';

const PROGRAMS = fileURLToPath(new URL('programs/', import.meta.url));

function found(node: string, program: string, ...args: readonly string[]): Judged {
  return judged([node, join(PROGRAMS, program), ...args], { KOALA_TEST_FLAGS: '--read-memory node' });
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

  it('tells whose each call is also where all wait in a list, and their calls are written one by one into a corked socket', async function () {
    skipIf(this, await whyNotRecordable() ?? whyUnknown());
    allAreRight(found(process.execPath, 'requests.mjs', 'listed'), 240);
  });
});
