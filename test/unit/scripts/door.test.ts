import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const door = path.resolve(import.meta.dirname, '../../../bin/koala-bpf');

describe('bin/koala-bpf', () => {
  let dir = '';
  const PATH = (): string => path.join(dir, 'tools');
  /** A stand-in that says its version, or where it was called from and with what. */
  const node = (at: string, version: string): string => {
    mkdirSync(path.dirname(path.join(dir, at)), { recursive: true });
    writeFileSync(path.join(dir, at), `#!/bin/sh\n[ "$1" = --version ] && { echo ${version}; exit; }\nshift\necho ${at} "$@"\n`);
    chmodSync(path.join(dir, at), 0o755);
    return path.join(dir, at);
  };
  const call = (file: string, env: NodeJS.ProcessEnv = {}, ...args: string[]): { status: number | null; stdout: string; stderr: string } =>
    spawnSync(path.join(dir, file), args, { encoding: 'utf8', env: { PATH: PATH(), HOME: path.join(dir, 'home'), ...env } });

  beforeEach(() => {
    dir = mkdtempSync(path.join(tmpdir(), 'koala-door-'));
    mkdirSync(PATH());
    for (const tool of ['sh', 'readlink', 'getent', 'cut']) symlinkSync(spawnSync('sh', ['-c', `command -v ${tool}`], { encoding: 'utf8' }).stdout.trim(), path.join(PATH(), tool));
    mkdirSync(path.join(dir, 'prefix/lib/node_modules/koala-bpf/bin'), { recursive: true });
    mkdirSync(path.join(dir, 'prefix/lib/node_modules/koala-bpf/dist/cli'), { recursive: true });
    mkdirSync(path.join(dir, 'prefix/bin'));
    writeFileSync(path.join(dir, 'prefix/lib/node_modules/koala-bpf/dist/cli/main.js'), '');
    cpSync(door, path.join(dir, 'prefix/lib/node_modules/koala-bpf/bin/koala-bpf'));
    symlinkSync('../lib/node_modules/koala-bpf/bin/koala-bpf', path.join(dir, 'prefix/bin/koala-bpf'));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  it('takes the node in PATH when it is new enough, and hands on every argument as it is', () => {
    node('tools/node', 'v20.15.0');
    assert.equal(call('prefix/bin/koala-bpf', {}, 'ls', 'a  b', '--json').stdout, 'tools/node ls a  b --json\n');
  });

  for (const old of ['v20.14.1', 'v18.20.4', 'v9.99.0', 'rubbish']) {
    it(`passes over a node that says ${old}, for the one of the npm prefix that it was installed in`, () => {
      node('tools/node', old);
      node('prefix/bin/node', 'v22.0.0');
      assert.equal(call('prefix/bin/koala-bpf', {}, 'doctor').stdout, 'prefix/bin/node doctor\n');
    });
  }

  it('finds the node of a version manager of its user', () => {
    node('home/.nvm/versions/node/v22.1.0/bin/node', 'v22.1.0');
    assert.equal(call('prefix/bin/koala-bpf', {}, 'x').stdout, 'home/.nvm/versions/node/v22.1.0/bin/node x\n');
  });

  it('takes the node that KOALA_NODE names, and refuses one that is none', () => {
    node('tools/node', 'v22.0.0');
    const named = node('elsewhere/node', 'v24.0.0');
    assert.equal(call('prefix/bin/koala-bpf', { KOALA_NODE: named }).stdout, 'elsewhere/node\n');
    const refused = call('prefix/bin/koala-bpf', { KOALA_NODE: '/nowhere' });
    assert.equal(refused.status, 2);
    assert.match(refused.stderr, /^koala-bpf: KOALA_NODE is \/nowhere: that is no Node ≥20\.15\n$/);
  });

  it('says what to run when the checkout was not built', () => {
    rmSync(path.join(dir, 'prefix/lib/node_modules/koala-bpf/dist'), { recursive: true });
    const refused = call('prefix/bin/koala-bpf');
    assert.equal(refused.status, 3);
    assert.match(refused.stderr, /is not built; run: sudo .*\/scripts\/setup\n$/);
  });
});
