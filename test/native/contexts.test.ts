/** Whose calls those of a Python program are, by the contexts that the kernel side reads, held against what the program says (programs/contexts.py). */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ElfFile } from '../../src/kernel/elf.ts';
import { loadedPython, readPythonFile } from '../../src/kernel/python/executable.ts';
import { madeIn } from '../../src/kernel/python/made.ts';
import { whyNotRecordable } from '../e2e/recorder.ts';
import { asyncioBuild } from '../e2e/services/loops.ts';
import { skipIf } from '../skip.ts';
import { startRecorder } from './recorder.ts';
import { until } from './subject.ts';

const PYTHON = '/usr/bin/python3';
const script = fileURLToPath(new URL('contexts.mjs', import.meta.url));

/** What stands in a process where PyContext_CopyCurrent has made a context, in hex. */
function bytesWhereMade(pid: number): string {
  const loaded = loadedPython(pid);
  const python = loaded === undefined ? undefined : readPythonFile(loaded.path, loaded.path);
  if (loaded === undefined || python === undefined) return '';
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  try {
    return ElfFile.read(loaded.path, (elf) => python.made.map(({ offset }) => {
      const byte = Buffer.alloc(1);
      const { address = 0, offset: from = 0 } = elf.segments.find((one) => one.type === 1 && offset >= one.offset && offset < one.offset + one.fileSize) ?? {};
      readSync(memory, byte, 0, 1, loaded.start - python.base + address + offset - from);
      return byte.toString('hex');
    }).join('')) ?? '';
  } finally {
    closeSync(memory);
  }
}

describe('contexts of Python programs', function () {
  this.timeout(120_000);

  /** By what the program says of itself: all of them, and most by their context. */
  function allAreRight(python: string, loop: 'asyncio' | 'uvloop'): void {
    const ran = spawnSync(process.execPath, [script, python], { encoding: 'utf8', timeout: 100_000, env: { ...process.env, LOOP: loop } });
    const { byContext, ...found } = JSON.parse(ran.stdout || `{"problems":[${JSON.stringify(ran.stderr.slice(-2_000))}]}`) as { readonly byContext: number };
    assert.deepEqual(found, { sessions: 64, calls: 320, tied: 320, right: 320, problems: [] });
    assert.ok(byContext >= 160, `${byContext} by context`);
  }

  it('tell whose each call is, of 16 requests at a time whose calls and answers say nothing of it, through a pool, gather, wait_for and to_thread', async function () {
    skipIf(this, await whyNotRecordable());
    allAreRight(PYTHON, 'asyncio');
  });

  it('tell it on uvloop too, which writes in the context of who asks it to (since 0.23)', async function () {
    const made = asyncioBuild();
    skipIf(this, await whyNotRecordable() ?? ('why' in made ? made.why : undefined));
    if ('dir' in made) allAreRight(join(made.dir, 'venv/bin/python'), 'uvloop');
  });

  it('are asked for by a breakpoint in that process alone, which is gone when the recorder has ended, or is killed', async function () {
    skipIf(this, await whyNotRecordable());
    const dir = mkdtempSync(join(tmpdir(), 'contexts-'));
    const service = spawn(PYTHON, ['-c', 'import sys; print(1, flush=True); sys.stdin.read()'], { stdio: ['pipe', 'pipe', 'inherit'] });
    const bystander = spawn(PYTHON, ['-c', 'import sys; print(1, flush=True); sys.stdin.read()'], { stdio: ['pipe', 'pipe', 'inherit'] });
    try {
      for (const { stdout } of [service, bystander]) await once(stdout, 'data');
      const bytes = (): readonly string[] => [service, bystander].map(({ pid = 0 }) => bytesWhereMade(pid));
      const [before] = bytes();
      assert.match(before ?? '', /^(?!(cc)+$)\w+$/);
      for (const signal of ['SIGINT', 'SIGKILL'] as const) {
        const recorder = await startRecorder(join(dir, signal), ['--pid', String(service.pid)]);
        await until(() => /^(cc)+$/.test(bytes()[0] ?? ''), 'a breakpoint');
        assert.equal(bytes()[1], before, 'in the other one as well');
        recorder.kill(signal);
        await recorder.ended;
        await until(() => bytes()[0] === before, 'what was there before');
      }
      service.stdin.end();
      assert.deepEqual(await once(service, 'exit'), [0, null]);
    } finally {
      for (const child of [service, bystander]) child.kill('SIGKILL');
      rmSync(dir, { recursive: true, force: true });
    }
  });

  it('are known of what a service becomes while it is watched, and of workers that it forks', async function () {
    skipIf(this, await whyNotRecordable());
    const dir = mkdtempSync(join(tmpdir(), 'contexts-'));
    const forks = 'import os, sys; os.fork(); os.write(1, b"%d\\n" % os.getpid()); sys.stdin.read()';
    const service = spawn('sh', ['-c', 'read line; exec "$0" -c "$1"', PYTHON, forks], { stdio: ['pipe', 'pipe', 'inherit'] });
    let said = '';
    service.stdout.on('data', (text: Buffer) => { said += String(text); });
    try {
      const recorder = await startRecorder(join(dir, 'rec'), ['--pid', String(service.pid)]);
      service.stdin.write('go\n');
      const both = (): readonly number[] => [...said.matchAll(/^\d+$/gm)].map(([pid]) => Number(pid));
      await until(() => both().length === 2, 'two processes');
      await until(() => both().every((pid) => /^(cc)+$/.test(bytesWhereMade(pid))), 'a breakpoint in each');
      await recorder.stop();
    } finally {
      service.stdin.end();
      rmSync(dir, { recursive: true, force: true });
    }
  });

  it('are read as the headers of the release have it that is installed here', () => {
    execFileSync(fileURLToPath(new URL('../../scripts/python-offsets', import.meta.url)), ['--check', PYTHON]);
  });

  it('are not looked for in a program that is no Python', () => {
    assert.equal(loadedPython(process.pid), undefined);
    assert.equal(readPythonFile(process.execPath, '/usr/bin/python3.11'), undefined);
    assert.equal(readPythonFile('/etc/passwd', '/usr/bin/python3.11'), undefined);
  });
});

/**
 * `one` asks twice whether it got something, the second time when it has it, or goes on as `other`, which hands what it got on; `plain` only
 * returns; `never` does not; and what `jumps` does nobody knows.
 */
const ASSEMBLY = `
  .text
  .globl one, other, plain, never, jumps
one:
  push %rbx
  call other
  test %rax, %rax
  je 2f
  test %rsi, %rsi
  jne 3f
  call plain
  mov %rax, %rbx
  test %rax, %rax
one_has:
  je 2f
  mov $0xc3, %ecx
2: pop %rbx
  ret
3: jmp other
other:
  call plain
  test %rax, %rax
  jne 4f
  lea 8(%rsp), %rdi
  call never
  ret
4: mov %rax, %rdi
  mov $1, %esi
other_has:
  call never
  ret
plain:
  movabs $0xc3c3c3c3c3c3c3c3, %rax
plain_has:
  ret
never:
  ud2
jumps:
  jmp *%rax
`;

describe('where a function has what it returns', () => {
  let dir: string;
  let file: string;
  const addresses = new Map<string, number>();
  const found = (name: string): unknown => ElfFile.read(file, (elf) => madeIn(elf, addresses.get(name) ?? 0));
  const at = (name: string, register: string): object => ({ offset: ElfFile.read(file, (elf) => elf.offsetOf(addresses.get(name) ?? 0)), register });

  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'made-'));
    file = join(dir, 'one.so');
    writeFileSync(join(dir, 'one.s'), ASSEMBLY);
    execFileSync('gcc', ['-shared', '-nostdlib', '-o', file, join(dir, 'one.s')]);
    for (const line of execFileSync('nm', [file], { encoding: 'utf8' }).split('\n')) {
      const [address = '', , name = ''] = line.split(' ');
      addresses.set(name, Number.parseInt(address, 16));
    }
  });
  after(() => { rmSync(dir, { recursive: true, force: true }); });

  it('is where it asks whether there is something, or hands that on, the last time on each way, also as another function', () => {
    assert.deepEqual(found('one'), [at('one_has', 'rax'), at('other_has', 'rdi')]);
    assert.deepEqual(found('other'), [at('other_has', 'rdi')]);
  });

  it('is where it returns, for want of that, and not in what only looks like it', () => {
    assert.deepEqual(found('plain'), [at('plain_has', 'rax')]);
  });

  it('is nowhere in one that does not return, or goes on where nobody knows', () => {
    assert.deepEqual(found('never'), []);
    assert.deepEqual(found('jumps'), []);
  });
});
