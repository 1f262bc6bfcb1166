/** Whose calls those of a Python program are, by the contexts that the kernel side reads, held against what the program says (programs/contexts.py). */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readdirSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ElfFile } from '../../src/kernel/elf.ts';
import { loadedPython, readPythonFile } from '../../src/kernel/python/executable.ts';
import { madeIn, returnedIn } from '../../src/kernel/python/made.ts';
import { queueModule, queuesIn } from '../../src/kernel/python/queues.ts';
import { readUvloop } from '../../src/kernel/python/uvloop.ts';
import { whyNotRecordable } from '../e2e/recorder.ts';
import { asyncioBuild } from '../e2e/services/loops.ts';
import { skipIf } from '../skip.ts';
import { allAreRight, judged } from './judged.ts';
import { startRecorder } from './recorder.ts';
import { until } from './subject.ts';

const PYTHON = '/usr/bin/python3';
const executors = fileURLToPath(new URL('programs/executors.py', import.meta.url));
/** Loaded into Python, whose locks are semaphores: who gives one back is held up at times for 2 ms, as where others have the processor. */
const HELD_UP = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <semaphore.h>
#include <time.h>
int sem_post(sem_t *sem) {
  static unsigned given;
  int (*post)(sem_t *) = (int (*)(sem_t *))dlsym(RTLD_NEXT, "sem_post");
  int result = post(sem);
  if (__atomic_add_fetch(&given, 1, __ATOMIC_RELAXED) % 16 == 0) nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, 0);
  return result;
}
`;

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

  it('tell whose each call is, of 16 requests at a time whose calls and answers say nothing of it, through a pool, gather, wait_for and to_thread', async function () {
    skipIf(this, await whyNotRecordable());
    allAreRight(judged([], { LOOP: 'asyncio' }, PYTHON));
  });

  /** Undefined: skipped. */
  async function withUvloop(test: Mocha.Context): Promise<{ readonly python: string; readonly queuing: string } | undefined> {
    const made = asyncioBuild();
    skipIf(test, await whyNotRecordable() ?? ('why' in made ? made.why : undefined));
    return 'dir' in made ? { python: join(made.dir, 'venv/bin/python'), queuing: join(made.dir, 'uvloop-0.22') } : undefined;
  }

  it('tell it on uvloop too, which writes in the context of who asks it to (since 0.23)', async function () {
    const made = await withUvloop(this);
    if (made !== undefined) allAreRight(judged([], { LOOP: 'uvloop' }, made.python));
  });

  it('tell it where uvloop queues what is written, and writes for all in a turn of its own (0.22)', async function () {
    const made = await withUvloop(this);
    if (made !== undefined) allAreRight(judged([], { LOOP: 'uvloop', PYTHONPATH: made.queuing }, made.python));
  });

  it('tell nothing of what several have queued for one connection, which leaves as one write', async function () {
    const made = await withUvloop(this);
    if (made === undefined) return;
    const { tied, right, byContext } = judged([], { LOOP: 'uvloop', PYTHONPATH: made.queuing, SHARED: '1' }, made.python);
    assert.equal(tied - right, 0, 'wrong');
    assert.ok(byContext >= 100, `${byContext} by context`);
  });

  for (const [how, who] of [['threads', 'a thread for each connection hands'], ['asyncio', 'an event loop hands, by run_in_executor,']] as const) {
    it(`are told of what ${who} to ThreadPoolExecutors that are smaller than the number of requests, also where these lend each other connections by such a queue, and are held up while they take`, async function () {
      skipIf(this, await whyNotRecordable());
      const dir = mkdtempSync(join(tmpdir(), 'contexts-'));
      try {
        const library = join(dir, 'held-up.so');
        execFileSync('gcc', ['-shared', '-fPIC', '-O2', '-o', library, '-x', 'c', '-'], { input: HELD_UP });
        allAreRight(judged(['env', `LD_PRELOAD=${library}`, PYTHON, executors, how], { LOOP: 'asyncio' }, PYTHON));
      } finally {
        rmSync(dir, { recursive: true, force: true });
      }
    });
  }

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

  it('are asked for where uvloop queues, by the texts in its library, and nowhere in a release that queues nothing', async function () {
    const made = await withUvloop(this);
    if (made === undefined) return;
    const [lib = ''] = readdirSync(join(made.python, '../../lib'));
    const queues = [join(made.queuing, 'uvloop'), join(made.python, '../../lib', lib, 'site-packages/uvloop')].map((dir) =>
      readUvloop(join(dir, readdirSync(dir).find((name) => /^loop\..*\.so$/.test(name)) ?? '')).length);
    assert.deepEqual(queues, [2, 0]);
    assert.deepEqual(readUvloop(process.execPath), []);
  });

  it('are not looked for in a program that is no Python', () => {
    assert.equal(loadedPython(process.pid), undefined);
    assert.equal(readPythonFile(process.execPath, '/usr/bin/python3.11'), undefined);
    assert.equal(readPythonFile('/etc/passwd', '/usr/bin/python3.11'), undefined);
  });
});

/**
 * `one` asks twice whether it got something, the second time when it has it, or goes on as `other`, which hands what it got on; `plain` only
 * returns; `never` does not; and what `jumps` does nobody knows. `kept` and `hands`, which has it from there, keep it in a register that calls leave
 * alone; `late` has it only after the last jump, and `twice` at two of them, on one of its ways.
 */
const ASSEMBLY = `
  .text
  .globl one, other, plain, never, jumps, kept, hands, late, twice
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
kept:
kept_here:
  push %rbx
  call plain
  mov %rax, %rbx
  test %rsi, %rsi
kept_has:
  je 5f
  xor %ebx, %ebx
  jmp 5f
5: mov %rbx, %rax
  pop %rbx
  ret
hands:
  sub $8, %rsp
  call kept_here
  add $8, %rsp
  ret
late:
  test %rsi, %rsi
  je 6f
  call plain
6: mov (%rdi), %rax
late_has:
  ret
twice:
  push %rbx
  mov (%rdi), %rbx
  test %rsi, %rsi
twice_has:
  jne 8f
7: mov %rbx, %rax
  pop %rbx
  ret
8: call plain
  jmp 7b
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

  it('is at the last call or jump before it returns, in a register that is kept, where there is one on each way, once on each way, and not where it has nothing', () => {
    const returned = (name: string): unknown => ElfFile.read(file, (elf) => [...returnedIn(elf, addresses.get(name) ?? 0)].sort((one, other) => one.offset - other.offset));
    for (const name of ['kept', 'hands']) assert.deepEqual(returned(name), [at('kept_has', 'rbx')], name);
    assert.deepEqual(returned('twice'), [at('twice_has', 'rbx')]);
    assert.deepEqual(returned('late'), [at('late_has', 'rax')]);
    assert.deepEqual(returned('jumps'), []);
  });

  it('is nowhere in one that does not return, or goes on where nobody knows', () => {
    assert.deepEqual(found('never'), []);
    assert.deepEqual(found('jumps'), []);
  });
});

/** As Modules/_queuemodule.c and what Argument Clinic makes of it: static functions in a table. Both that give out end in the same one. */
const QUEUES = `
struct method { const char *name; void *(*function)(void); int flags; const char *doc; };
#define STATIC static __attribute__((noinline, noclone))
void *more(void *);
STATIC void *pop(void *from) { return from ? more(from) : 0; }
STATIC void *put(void) { return more((void *)1); }
STATIC void *get(void) { return pop(more((void *)2)); }
STATIC void *get_nowait(void) { return pop(more((void *)2)); }
void *more(void *that) { __asm__ volatile("" : "+r"(that)); return that; }
#define METHODS(flags) { \\
  { "get", get, 0x82, "get($self, /, block=True, timeout=None)\\n--\\n\\nRemove and return an item from the queue.\\n\\nAnd so on." }, \\
  { "get_nowait", get_nowait, 4, "get_nowait($self, /)\\n--\\n\\nRemove and return an item from the queue without blocking." }, \\
  { "put", put, flags, "put($self, /, item, block=True, timeout=None)\\n--\\n\\nPut the item on the queue." }, {} }
struct method methods[] = METHODS(FLAGS);
#ifdef TWICE
struct method others[] = METHODS(1);
#endif
int main(void) { return methods[0].function() == 0; }
`;

describe('the queues of Python', () => {
  let dir: string;
  before(() => { dir = mkdtempSync(join(tmpdir(), 'queues-')); });
  after(() => { rmSync(dir, { recursive: true, force: true }); });

  /** What is found in that, compiled with `flags`, and what is there by its symbols. */
  function find(...flags: readonly string[]): { readonly found: unknown; readonly wanted: unknown } {
    const file = join(dir, 'queues');
    writeFileSync(`${file}.c`, QUEUES);
    execFileSync('gcc', ['-O2', '-fcf-protection=none', ...flags, '-o', file, `${file}.c`]);
    const wanted = ElfFile.read(file, (elf) => {
      const [put = 0, get = 0] = ['put', 'get'].map((name) => elf.symbol(name) ?? 0);
      return { put: elf.offsetOf(put), got: [...returnedIn(elf, get)].sort((one, other) => one.offset - other.offset) };
    });
    const found = ElfFile.read(file, queuesIn);
    execFileSync('strip', [file]);
    assert.deepEqual(ElfFile.read(file, queuesIn), found, 'stripped');
    return { found, wanted };
  }

  it('are found in a library and in an executable, moved or not, by their methods\' doc strings', () => {
    for (const kind of [['-shared', '-fPIC'], ['-pie', '-fPIE'], ['-no-pie']]) {
      const { found, wanted } = find(...kind, '-DFLAGS=0x82');
      assert.deepEqual(found, wanted, kind.join(' '));
      assert.ok((found as { readonly got: readonly number[] }).got.length > 0);
    }
  });

  it('are left where put takes its arguments otherwise, or one table says this and another that', () => {
    assert.equal(find('-no-pie', '-DFLAGS=1').found, undefined);
    assert.equal(find('-no-pie', '-DFLAGS=0x82', '-DTWICE').found, undefined);
  });

  it('are in a file beside the interpreter\'s other modules, also before they are loaded', async function () {
    const python = spawn(PYTHON, ['-c', 'import sys; print(1, flush=True); sys.stdin.read()'], { stdio: ['pipe', 'pipe', 'inherit'] });
    try {
      await once(python.stdout, 'data');
      const wanted = execFileSync(PYTHON, ['-c', 'import _queue; print(getattr(_queue, "__file__", ""))'], { encoding: 'utf8' }).trim();
      if (wanted === '') skipIf(this, `${PYTHON} holds them itself`);
      const loaded = loadedPython(python.pid ?? 0);
      assert.equal(queueModule(python.pid ?? 0, loaded?.path ?? '', readPythonFile(PYTHON, loaded?.path ?? '')?.minor ?? 0), wanted);
      assert.ok((ElfFile.read(wanted, queuesIn)?.got.length ?? 0) > 0);
    } finally {
      python.kill('SIGKILL');
    }
  });
});
