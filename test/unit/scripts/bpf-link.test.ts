import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const script = path.resolve(import.meta.dirname, '../../../scripts/bpf-link');
const PATH = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;
const has = (tool: string): boolean => spawnSync('sh', ['-c', `command -v ${tool}`], { env: { PATH } }).status === 0;

/** Two programs over one weak map, in two files, and one that calls what nobody defines. No header is needed. */
const PROGRAM = (name: string, body: string): string => `
#define SEC(name) __attribute__((section(name), used))
typedef unsigned int u32;
char LICENSE[] __attribute__((weak)) SEC("license") = "GPL";
struct { u32 (*type)[2]; u32 (*max_entries)[1]; u32 *key; u32 *value; } counts __attribute__((weak)) SEC(".maps");
static void *(*lookup)(void *map, const void *key) = (void *)1;
extern int nowhere(int);
SEC("tracepoint/syscalls/sys_enter_getppid") int ${name}(void *context) {
  u32 zero = 0;
  u32 *count = lookup(&counts, &zero);
  ${body}
  return 0;
}`;

describe('scripts/bpf-link', () => {
  let dir = '';
  before(function () {
    for (const tool of ['clang', 'llvm-nm']) {
      if (has(tool)) continue;
      console.log(`${tool} is not installed`);
      this.skip();
    }
    dir = mkdtempSync(path.join(tmpdir(), 'koala-link-'));
    for (const [name, body] of [['first', 'if (count) *count = 1;'], ['second', 'if (count) *count = 2;'], ['bad', 'if (count) *count = nowhere(1);']] as const) {
      writeFileSync(path.join(dir, `${name}.c`), PROGRAM(name, body));
      for (const [kind, flags] of [['o', []], ['bc', ['-emit-llvm']]] as const) {
        const run = spawnSync('clang', ['-g', '-O2', '-target', 'bpf', ...flags, '-c', `${name}.c`, '-o', `${name}.${kind}`], { cwd: dir, encoding: 'utf8' });
        assert.equal(run.status, 0, run.stderr);
      }
    }
  });
  after(() => {
    if (dir !== '') rmSync(dir, { recursive: true });
  });

  const link = (linker: string, ...args: string[]): { status: number | null; stderr: string } =>
    spawnSync(script, args, { cwd: dir, encoding: 'utf8', env: { ...process.env, PATH, KOALA_BPF_LINKER: linker } });

  for (const [linker, kind] of [['bpftool', 'o'], ['bpf-linker', 'bc']] as const) {
    describe(`with ${linker}`, () => {
      before(function () {
        if (has(linker)) return;
        console.log(`${linker} is not installed`);
        this.skip();
      });

      it('joins two objects into one that holds both programs, and their one map', () => {
        const run = link(linker, 'both.o', `first.${kind}`, `second.${kind}`);
        assert.equal(run.status, 0, run.stderr);
        const symbols = spawnSync('llvm-nm', ['--defined-only', '--format=just-symbols', 'both.o'], { cwd: dir, encoding: 'utf8' }).stdout.split('\n');
        for (const name of ['first', 'second', 'counts', 'LICENSE']) {
          assert.equal(symbols.filter((s) => s === name).length, 1, `${name} in ${symbols.join(' ')}`);
        }
        assert.equal(readFileSync(path.join(dir, 'both.o')).includes('.debug_info'), false, 'no DWARF is shipped');
      });

      it('refuses an object with an undefined symbol by its name, and leaves nothing behind', () => {
        const run = link(linker, 'refused.o', `first.${kind}`, `bad.${kind}`);
        assert.equal(run.status, 1);
        assert.match(run.stderr, /refused\.o has undefined symbols: nowhere\n$/);
        assert.equal(existsSync(path.join(dir, 'refused.o')) || existsSync(path.join(dir, 'refused.o.new')), false);
      });
    });
  }

  it('refuses a linker that it does not know, and bitcode where objects are due', () => {
    assert.equal(link('ld', '--which').status, 2);
    const run = link('bpftool', 'x.o', 'first.bc');
    assert.equal(run.status, 2);
    assert.match(run.stderr, /first\.bc is bitcode: bpftool links objects/);
  });
});
