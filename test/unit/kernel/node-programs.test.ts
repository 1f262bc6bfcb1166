import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ContextBits } from '../../../src/kernel/context-bits.ts';
import { loadedFiles } from '../../../src/kernel/loaded.ts';
import type { BpfMap } from '../../../src/kernel/map.ts';
import { NodePrograms } from '../../../src/kernel/node/programs.ts';

const none = { get: () => undefined, set: () => undefined, delete: () => undefined } as unknown as BpfMap;

describe('the memory of Node', () => {
  it('is not asked for again where the kernel can\'t read it, and that is asked before a program of that name is run', () => {
    let asked = 0;
    const programs = new NodePrograms(none, new ContextBits(none), () => {
      asked += 1;
      return false;
    }, () => undefined);
    programs.expect('/usr/bin/python3');
    assert.equal(asked, 0);
    for (const path of ['/usr/bin/node', '/usr/local/bin/node']) programs.expect(path);
    assert.equal(asked, 1);
  });

  it('is said not to be readable where a program of that name exports nothing of V8\'s, and only to who wants it read', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'koala-node-'));
    copyFileSync('/bin/sleep', join(folder, 'node'));
    const child = spawn(join(folder, 'node'), ['60']);
    try {
      await once(child, 'spawn');
      const pid = child.pid as number;
      while (loadedFiles(pid, /\/node$/).length === 0) await sleep(5);
      const told: unknown[] = [];
      const onUnknown = (...words: unknown[]): void => { told.push(words); };
      new NodePrograms(none, new ContextBits(none), undefined, onUnknown).add(pid);
      assert.deepEqual(told, []);
      new NodePrograms(none, new ContextBits(none), () => { throw new Error('nothing is to be placed'); }, onUnknown).add(pid);
      assert.deepEqual(told, [[pid, undefined]]);
    } finally {
      child.kill('SIGKILL');
      rmSync(folder, { recursive: true });
    }
  });
});
