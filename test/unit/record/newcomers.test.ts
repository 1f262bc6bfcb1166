import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { followNewcomers, type Following } from '../../../src/record/newcomers.ts';

const NOBODY = { pids: [], ports: [], cgroups: [], executables: [], all: false };

describe('processes that the probes missed', () => {
  it('are watched and declared as soon as the kernel says that it skipped a probe, and the dead are let go', async () => {
    const parent = spawn('sh', ['-c', 'sleep 100 & echo $!; wait'], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const child = Number(await new Promise<string>((resolve) => parent.stdout.once('data', (text: Buffer) => resolve(text.toString()))));
      const dead = Number(readFileSync('/proc/sys/kernel/pid_max', 'utf8')) + 1;
      const watched = new Set([parent.pid ?? 0, dead]);
      let missed = 0;
      let late = 0;
      const recorder: Following = {
        counter: () => 0,
        watch: (processes) => { for (const { tgid } of processes) watched.add(tgid); },
        declareLate: (processes) => { late += processes; },
        probes: {
          missedFollowers: () => missed,
          watchedProcesses: () => [...watched],
          isWatched: (tgid) => watched.has(tgid),
          unwatch: (tgid) => { watched.delete(tgid); },
          findExisting: () => undefined,
        },
      };
      followNewcomers(recorder, NOBODY)();
      assert.deepEqual([watched.has(child), watched.has(dead), late], [false, true, 0]);
      const end = followNewcomers(recorder, NOBODY);
      missed = 1;
      end(); // looks once more
      assert.deepEqual([watched.has(child), watched.has(dead), late], [true, false, 1]);
      process.kill(child, 'SIGKILL');
    } finally {
      parent.kill('SIGKILL');
    }
  });
});
