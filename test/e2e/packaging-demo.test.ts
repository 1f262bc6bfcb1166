import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '../..');
const text = (command: string, ...args: string[]): string => spawnSync(command, args, { encoding: 'utf8' }).stdout;

/** What a demo could leave behind: processes that name its files, namespaces, firewall rules, files. */
function traces(): Record<string, string[]> {
  const processes: string[] = [];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      if (/examples\/demo|koala-demo/.test(command)) processes.push(command);
    } catch {
      // it has ended
    }
  }
  return {
    processes,
    namespaces: text('ip', 'netns', 'list').split('\n'),
    rules: (text('iptables-save') + text('ip6tables-save')).split('\n').filter((line) => /^(-A|\*)/.test(line)),
    files: [root, path.join(root, 'examples/demo'), tmpdir()].flatMap((folder) => readdirSync(folder).filter((name) => /koala-(2|demo)|__pycache__|dump\.rdb/.test(name))),
  };
}

describe('scripts/demo', function () {
  this.timeout(300_000);

  it('records, lists, shows, replays with the dependencies gone, names the deliberate bug, in two minutes, and leaves nothing behind', function () {
    if (process.getuid?.() !== 0) {
      console.log('not root: the demo records from the kernel');
      this.skip();
    }
    const before = traces();
    const started = Date.now();
    const demo = spawnSync('scripts/demo', { cwd: root, encoding: 'utf8', timeout: 240_000, maxBuffer: 64 << 20 });
    const seconds = (Date.now() - started) / 1000;
    assert.equal(demo.status, 0, `status ${demo.status}\n${demo.stdout}\n${demo.stderr}`);
    assert.match(demo.stdout, /\bsame\b/);
    assert.match(demo.stdout, /\bdifferent\b/);
    assert.ok(seconds < 120, `${seconds} s`);
    assert.deepEqual(traces(), before);
  });
});
