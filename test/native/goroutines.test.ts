/** What is recorded of a Go program's goroutines, held against what the program says of itself (programs/goroutines). */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readGoExecutable } from '../../src/kernel/go/executable.ts';
import { EM_AARCH64, EM_X86_64 } from '../../src/kernel/elf.ts';
import { offsetsFor } from '../../src/kernel/go/offsets.ts';
import { goProgram, whyNotGo } from '../e2e/services/go.ts';
import { built } from '../e2e/stacks/built.ts';
import { whyNotRecordable } from '../e2e/recorder.ts';
import { skipIf } from '../skip.ts';
import { BUILD_MS, recordGoroutines, source } from './goroutines.ts';

const PROGRAMS: Readonly<Record<string, { readonly tools: readonly string[]; readonly build: readonly string[] }>> = {
  'a static program': { tools: ['go'], build: ['env', 'CGO_ENABLED=0', 'go', 'build', '-o', 'program', '.'] },
  'a stripped one': { tools: ['go'], build: ['go', 'build', '-ldflags', '-s -w', '-o', 'program', '.'] },
  'a position-independent one, stripped': { tools: ['go'], build: ['go', 'build', '-buildmode=pie', '-ldflags', '-s -w', '-o', 'program', '.'] },
  'one that the C linker made': { tools: ['go', 'gcc'], build: ['env', 'CGO_ENABLED=1', 'go', 'build', '-ldflags', '-linkmode external', '-o', 'program', '.'] },
};

describe('goroutines', function () {
  this.timeout(120_000);

  before(async function () {
    skipIf(this, await whyNotRecordable());
  });

  for (const [name, { tools, build }] of Object.entries(PROGRAMS)) {
    it(`of ${name} are told as it tells them itself, and each call is in the session of the goroutine that asked for it`, function () {
      // The first build of its kind compiles Go's own packages.
      this.timeout(BUILD_MS + 120_000);
      const made = built(`goroutines-${name.replaceAll(/\W+/g, '-')}`, tools, [build], source);
      if ('why' in made) {
        console.log(`      skipped: ${made.why}`);
        this.skip();
      }
      const { status, found: { events, wrong, calls, tied, right, proven, problems } } = recordGoroutines(join(made.dir, 'program'));
      assert.deepEqual({ problems, events, wrong, calls, tied, right }, { problems: [], events: 96, wrong: 0, calls: 288, tied: 288, right: 288 });
      assert.ok(proven >= 144, `${proven} of ${calls} are proven`);
      assert.equal(status, 0);
    });
  }
});

describe('the reader of Go programs', function () {
  this.timeout(120_000);
  const made = built('goroutines-a-stripped-one', ['go'], [['go', 'build', '-ldflags', '-s -w', '-o', 'program', '.']], source);
  let dir: string;

  before(function () {
    dir = mkdtempSync(join(tmpdir(), 'go-reader-'));
    if (!('why' in made)) return;
    console.log(`      skipped: ${made.why}`);
    this.skip();
  });
  after(() => { rmSync(dir, { recursive: true, force: true }); });

  it('knows where runtime.g holds what is read as the DWARF of the Go that is installed here has it', () => {
    const run = (at: string, ...command: string[]): string => execFileSync(command[0]!, command.slice(1), { cwd: at, encoding: 'utf8', env: { ...process.env, CGO_ENABLED: '0' } });
    const folder = fileURLToPath(new URL('../../scripts/go-offsets.d', import.meta.url));
    run(join(folder, 'tiny'), 'go', 'build', '-o', join(dir, 'tiny'), '.');
    run(join(folder, 'read'), 'go', 'build', '-o', join(dir, 'read'), '.');
    const version = run(dir, 'go', 'version').split(' ')[2]!;
    const said = new Map(run(dir, join(dir, 'read'), join(dir, 'tiny'), version, 'amd64').trim().split('\n').map((line) => line.split(' ').slice(2) as [string, string]));
    const { goid, parent, function: began } = offsetsFor(version) ?? {};
    assert.deepEqual([goid, parent, began].map(String), [said.get('goid'), said.get('parentGoid') ?? '0', said.get('startpc')], version);
  });

  it('finds every function that it asks for in a stripped program', () => {
    const program = readGoExecutable(join((made as { dir: string }).dir, 'program'));
    const { roles, probes } = program?.functions(join((made as { dir: string }).dir, 'program')) ?? {};
    assert.equal(roles?.filter((address) => address > 0).length, 4);
    assert.deepEqual(probes?.map((together) => together.map(({ probe }) => probe)), [['go_begins', 'go_makes'], ['go_round_trip', 'go_writes', 'go_writes'], [], [], ['go_handles']]);
  });

  it('finds those of gRPC-Go, client and server', function () {
    skipIf(this, whyNotGo('stripped'));
    const path = goProgram('stripped');
    const { probes } = readGoExecutable(path)?.functions(path) ?? {};
    assert.deepEqual(probes?.map((together) => together.map(({ probe }) => probe)),
      [['go_begins'], ['go_round_trip', 'go_writes', 'go_writes'], ['go_puts', 'go_opens'], ['go_takes', 'go_hands', 'go_serves'], ['go_handles']]);
  });

  it('has every probe at a jump or a call, which the kernel does itself and not by a second trap, but for that of coroutines', () => {
    const path = join((made as { dir: string }).dir, 'program');
    const bytes = readFileSync(path);
    const placed = readGoExecutable(path)?.functions(path)?.probes.flat() ?? [];
    // jbe, short and near; call
    const others = placed.filter(({ offset }) => bytes[offset] !== 0x76 && bytes[offset] !== 0xe8 && bytes.readUInt16BE(offset) !== 0x0f86);
    assert.deepEqual(others.map(({ probe }) => probe), ['go_makes']);
  });

  it('finds the same in a stripped program for arm64, each at a branch or a call, and nothing of it for another machine', function () {
    // Compiles Go's own packages once more.
    this.timeout(BUILD_MS + 60_000);
    const crossed = built('goroutines-arm64', ['go'], [['env', 'GOARCH=arm64', 'CGO_ENABLED=0', 'go', 'build', '-ldflags', '-s -w', '-o', 'program', '.']], source);
    if ('why' in crossed) {
      console.log(`      skipped: ${crossed.why}`);
      this.skip();
    }
    const path = join(crossed.dir, 'program');
    const { roles, probes } = readGoExecutable(path, EM_AARCH64)?.functions(path) ?? {};
    assert.equal(roles?.filter((address) => address > 0).length, 4);
    assert.deepEqual(probes?.map((together) => together.map(({ probe }) => probe)), [['go_begins', 'go_makes'], ['go_round_trip', 'go_writes', 'go_writes'], [], [], ['go_handles']]);
    const bytes = readFileSync(path);
    // b.ls; bl
    const others = (probes ?? []).flat().filter(({ offset }) => (bytes.readUInt32LE(offset) & 0xff00001f) >>> 0 !== 0x54000009 && bytes.readUInt32LE(offset) >>> 26 !== 0b100101);
    assert.deepEqual(others.map(({ probe }) => probe), ['go_makes']);
    assert.equal(readGoExecutable(path, EM_X86_64), undefined);
  });

  it('takes a program that is cut short, or has garbage in it, for none or for one without functions, and never throws', () => {
    const whole = readFileSync(join((made as { dir: string }).dir, 'program'));
    const path = join(dir, 'broken');
    const look = (bytes: Uint8Array): void => {
      writeFileSync(path, bytes);
      readGoExecutable(path)?.functions(path);
    };
    for (const length of [0, 1, 63, 64, 100, 1_000, 4_096, whole.length >> 2, whole.length >> 1, whole.length - 1]) look(whole.subarray(0, length));
    for (let n = 0; n < 60; n += 1) {
      const bytes = Buffer.from(whole);
      // In the header, its tables, and here and there.
      for (let flips = 0; flips < 8; flips += 1) bytes[n % 2 === 0 ? (n * 37 + flips * 11) % 1_024 : bytes.length - 1 - ((n * 97 + flips * 53) % 2_048)]! ^= 1 << (flips % 8);
      look(bytes);
    }
    assert.equal(readGoExecutable('/bin/sh'), undefined);
    assert.equal(readGoExecutable(join(dir, 'nothing there')), undefined);
  });
});
