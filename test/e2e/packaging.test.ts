import assert from 'node:assert/strict';
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '../..');
const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as { version: string };

function run(command: string, args: string[], options: { cwd?: string; env?: NodeJS.ProcessEnv } = {}): SpawnSyncReturns<string> {
  return spawnSync(command, args, { encoding: 'utf8', timeout: 240_000, cwd: root, maxBuffer: 64 << 20, ...options });
}

/** Says what it printed when the status is not the one that is due. */
function ok(result: SpawnSyncReturns<string>, status = 0): string {
  assert.equal(result.status, status, `status ${result.status}, ${result.error?.message ?? ''}\n${result.stdout}\n${result.stderr}`);
  return result.stdout;
}

describe('the npm package', function () {
  this.timeout(300_000);
  let dir = '';
  let prefix = '';
  let packed: string[] = [];

  before(() => {
    dir = mkdtempSync(path.join(tmpdir(), 'koala-pack-'));
    prefix = path.join(dir, 'prefix');
    // Built by scripts/setup already; what is under test is what goes into the package, and that it runs elsewhere.
    const [summary] = JSON.parse(ok(run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', dir]))) as [
      { filename: string; files: { path: string }[] },
    ];
    packed = summary.files.map((file) => file.path);
    ok(run('npm', ['install', '--global', '--prefix', prefix, '--no-audit', '--no-fund', path.join(dir, summary.filename)], { cwd: dir }));
  });
  after(() => {
    if (dir !== '') rmSync(dir, { recursive: true });
  });

  it('ships the compiled kernel object, the command, the library door and its types, the format, the papers', () => {
    for (const file of [
      'bin/koala-bpf', 'dist/bpf/x86_64/koala.bpf.o', 'dist/bpf/x86_64/unix-gate.bpf.o', 'dist/bpf/arm64/koala.bpf.o', 'dist/bpf/arm64/unix-gate.bpf.o', 'bpf/gate/unix.bpf.c', 'dist/cli/main.js', 'dist/index.js', 'dist/index.d.ts',
      'proto/koala/v1/recording.proto', 'bpf/event.h', 'bpf/life.bpf.c', 'deploy/systemd/koala-bpf.service',
      'LICENSE', 'LICENSES/MIT.txt', 'LICENSES/GPL-2.0-only.txt', 'README.md', 'CHANGELOG.md', 'SECURITY.md',
    ]) {
      assert.ok(packed.includes(file), `${file} is not in the package`);
    }
  });

  it('ships nothing that only we need', () => {
    const stray = packed.filter((file) => /^(test|src|scripts|bench|build|node_modules|\.ci|examples)\//.test(file) || file.endsWith('.o.new'));
    assert.deepEqual(stray, []);
  });

  for (const arch of ['x86_64', 'arm64']) {
    it(`ships the very object that was built from these sources for ${arch}`, () => {
      const built = readFileSync(path.join(root, `build/bpf/${arch}/koala.bpf.o`));
      const shipped = readFileSync(path.join(prefix, `lib/node_modules/koala-bpf/dist/bpf/${arch}/koala.bpf.o`));
      assert.ok(built.equals(shipped));
      assert.equal(shipped.includes(root), false, 'the object names a folder of the machine that built it');
    });
  }

  /** A PATH as sudo's secure_path makes it, without node and without compilers: a folder of links to what a shell needs. */
  function barePath(...tools: string[]): string {
    const bin = path.join(dir, 'bare-bin');
    rmSync(bin, { recursive: true, force: true });
    mkdirSync(bin);
    for (const tool of tools) {
      const found = ['/usr/bin', '/bin', '/usr/sbin', '/sbin'].map((at) => path.join(at, tool)).find((at) => existsSync(at));
      if (found !== undefined) symlinkSync(found, path.join(bin, tool));
    }
    return bin;
  }
  const SHELL_TOOLS = ['sh', 'env', 'readlink', 'dirname', 'basename', 'getent', 'cut', 'id', 'ls', 'sort', 'tail', 'head', 'sed', 'awk', 'grep'];

  it('runs where PATH has neither node nor a compiler, as under sudo', () => {
    const PATH = barePath(...SHELL_TOOLS);
    assert.notEqual(run('/bin/sh', ['-c', 'command -v node || command -v clang'], { env: { PATH } }).status, 0, 'the test wants a PATH without node');
    const said = ok(run(path.join(prefix, 'bin/koala-bpf'), ['--version'], { cwd: dir, env: { PATH } }));
    assert.equal(said.trim(), version);
  });

  it('says what this host allows: doctor, installed, as root', function () {
    if (process.getuid?.() !== 0) {
      console.log('not root: doctor cannot try the backends');
      this.skip();
    }
    const PATH = barePath(...SHELL_TOOLS, 'ip', 'iptables', 'ip6tables', 'nsenter', 'unshare', 'setpriv');
    const doctor = run(path.join(prefix, 'bin/koala-bpf'), ['doctor'], { cwd: dir, env: { PATH } });
    assert.ok(doctor.status === 0 || doctor.status === 3, `doctor ended with ${doctor.status}: ${doctor.stderr}`);
    for (const backend of ['fentry', 'kprobe', 'tracepoint']) assert.match(doctor.stdout, new RegExp(`\\b${backend}\\b`));
    assert.doesNotMatch(doctor.stdout + doctor.stderr, /\n\s+at .*:\d+:\d+/, 'a stack trace');
  });

  it('is a library: its door can be imported from another project', () => {
    const project = path.join(dir, 'project');
    mkdirSync(path.join(project, 'node_modules'), { recursive: true });
    symlinkSync(path.join(prefix, 'lib/node_modules/koala-bpf'), path.join(project, 'node_modules/koala-bpf'));
    const said = ok(run(process.execPath, ['--input-type=module', '-e', `import * as koala from 'koala-bpf'; console.log(Object.keys(koala).length > 0);`], { cwd: project }));
    assert.equal(said.trim(), 'true');
  });
});

describe('set-up', function () {
  this.timeout(300_000);

  it('does nothing the second time, and takes under five seconds for it', () => {
    ok(run('scripts/setup', ['core']));
    const started = Date.now();
    const again = run('scripts/setup', ['core']);
    ok(again);
    assert.equal(again.stderr, '');
    assert.ok(Date.now() - started < 5000, `${Date.now() - started} ms`);
  });

  it('names the sections it knows when asked for another', () => {
    const result = run('scripts/setup', ['nonsense']);
    assert.equal(result.status, 2);
    assert.match(result.stderr, /^setup: no section nonsense: arm64 bench core demo test vm are known\n$/);
  });

  it('leaves a checkout of the one who called sudo theirs', function () {
    const user = run('getent', ['passwd', 'nobody']).stdout.split(':');
    if (process.getuid?.() !== 0 || !existsSync(path.join(root, '.git')) || user.length < 4) {
      console.log('not root, no git checkout or no user nobody: cannot play sudo');
      this.skip();
    }
    const dir = mkdtempSync(path.join(tmpdir(), 'koala-sudo-'));
    try {
      const clone = path.join(dir, 'clone');
      ok(run('git', ['clone', '--quiet', '--local', '--no-hardlinks', root, clone]));
      ok(run('chown', ['-R', `nobody:${user[3] ?? ''}`, dir]));
      const env = { ...process.env, SUDO_USER: 'nobody', SUDO_UID: user[2], npm_config_cache: path.join(dir, 'npm') };
      ok(run('scripts/setup', ['core'], { cwd: clone, env }));
      const foreign = run('find', [clone, '!', '-user', 'nobody']).stdout;
      assert.equal(foreign, '');
      assert.ok(readdirSync(path.join(clone, 'dist')).includes('cli'));
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});

describe('deployment files', function () {
  this.timeout(240_000);

  it('systemd understands every line of koala-bpf.service', function () {
    if (run('systemd-analyze', ['--version']).status !== 0) {
      console.log('systemd-analyze is not installed');
      this.skip();
    }
    const result = run('systemd-analyze', ['verify', path.join(root, 'deploy/systemd/koala-bpf.service')]);
    assert.equal(result.stderr, '');
    ok(result);
  });

  it('the Kubernetes manifest fits the schemas of Kubernetes, strictly', function () {
    const venv = path.join(root, 'build/kubernetes-validate');
    const tool = path.join(venv, 'bin/kubernetes-validate');
    if (!existsSync(tool)) {
      const installed = run('sh', ['-c', `python3 -m venv '${venv}' && '${venv}/bin/pip' install --quiet kubernetes-validate`]);
      if (installed.status !== 0) {
        console.log('kubernetes-validate (PyPI) could not be installed');
        this.skip();
      }
    }
    ok(run(tool, ['--strict', path.join(root, 'deploy/kubernetes/daemonset.yaml')]));
  });

  it('the scripts have no fault that shellcheck knows', function () {
    if (run('shellcheck', ['--version']).status !== 0) {
      console.log('shellcheck is not installed');
      this.skip();
    }
    const shell = [...readdirSync(path.join(root, 'scripts')).map((name) => path.join(root, 'scripts', name)), path.join(root, '.ci/run'), path.join(root, 'bin/koala-bpf')]
      .filter((file) => existsSync(file) && statSync(file).isFile() && /^#!.*\b(ba)?sh\b/.test(readFileSync(file, 'utf8').split('\n', 1)[0] ?? ''));
    assert.ok(shell.length > 5);
    ok(run('shellcheck', ['--external-sources', '--severity=warning', '--exclude=SC2034', ...shell]));
  });
});
