import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Replayed } from '../../src/replay/replayed.ts';
import { findLibrary } from '../../src/replay/clock.ts';
import { session } from '../unit/replay/build.ts';
import { cannotReplay, hostState, planned, play, PORT, SERVICE } from './replay/stage.ts';

const verdicts = (replayed: readonly Replayed[]): string[] => replayed.map(({ verdict }) => verdict);
const HOUR_US = 3_600_000_000;
const MORNING_US = Date.parse('2021-03-04T05:10:00Z') * 1000;

/** A session in which the service looks at its clock. */
function looking(id: string, startedAtUs: number): ReturnType<typeof planned> {
  const hour = new Date(startedAtUs / 1000).toISOString().slice(0, 13);
  return { ...planned([{ to: 'clock', send: '', read: 0 }], [hour], [], { id }), startedAtUs };
}

/** A C program without the dynamic linker that starts the service and waits. Undefined: nothing here can make one. */
function staticProgram(folder: string): string | undefined {
  const path = join(folder, 'static');
  const source = '#include <unistd.h>\n#include <sys/wait.h>\nint main(int n, char **a) { if (fork() == 0) { execv(a[1], a + 1); _exit(127); } wait(0); return 0; }\n';
  return ['gcc', 'clang'].some((compiler) => spawnSync(compiler, ['-static', '-x', 'c', '-', '-o', path], { input: source }).status === 0) ? path : undefined;
}

describe('replay with --clock recorded', function () {
  this.timeout(60_000);
  let before = '';

  beforeEach(function () {
    const why = cannotReplay();
    const library = (() => {
      try {
        return findLibrary();
      } catch {
        return undefined;
      }
    })();
    if (why !== undefined || library === undefined) {
      console.log(`      skipped: ${why ?? 'there is no libfaketime here'}`);
      this.skip();
    }
    before = hostState();
  });

  afterEach(function () {
    if (this.currentTest?.isPending() !== true) assert.equal(hostState(), before);
  });

  const RESPONSE = 'HTTP/1.1 200 OK\r\nContent-Length: 13\r\nConnection: close\r\n\r\n';

  it('gives each session the time at which it was recorded, back and forth, one at a time', async () => {
    const sessions = [0, 30, 5].map((hours, n) => looking(`a${n}`, MORNING_US + hours * HOUR_US));
    const { replayed, notes } = await play(sessions, { recordedClock: true, concurrency: 1 });
    assert.deepEqual(verdicts(replayed), ['same', 'same', 'same'], JSON.stringify(replayed) + notes.join('\n'));
    assert.deepEqual(notes, []);
    assert.equal((await play(sessions.slice(0, 1))).replayed[0]?.verdict, 'different', 'without it, it is today');
  });

  it('says which process it does not reach', async function () {
    const folder = mkdtempSync(join(tmpdir(), 'koala-test-'));
    try {
      const program = staticProgram(folder);
      if (program === undefined) {
        console.log('      skipped: nothing here compiles a static program');
        this.skip();
      }
      const { notes } = await play([looking('a', MORNING_US)], { recordedClock: true, command: [program, process.execPath, SERVICE, String(PORT)] });
      assert.ok(notes.some((note) => /^the clock of static is today's: it did not load libfaketime/.test(note)), notes.join('\n'));
      assert.ok(!notes.some((note) => note.includes('the clock of node')), notes.join('\n'));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('says that Go programs are not reached', async function () {
    if (spawnSync('sh', ['-c', 'command -v go']).status !== 0) {
      console.log('      skipped: there is no go here');
      this.skip();
    }
    this.timeout(180_000);
    const folder = mkdtempSync(join(tmpdir(), 'koala-clock-'));
    const program = join(folder, 'inGo');
    writeFileSync(`${program}.go`, `package main\n\nimport (\n\t"net/http"\n\t"time"\n)\n\nfunc main() {\n`
      + `\thttp.ListenAndServe("127.0.0.1:${PORT}", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {\n\t\tw.Write([]byte(time.Now().UTC().Format("2006-01-02T15")))\n\t}))\n}\n`);
    try {
      const built = spawnSync('go', ['build', '-o', program, `${program}.go`], { encoding: 'utf8' });
      assert.equal(built.status, 0, built.stderr);
      const one = session({ request: 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', response: `${RESPONSE}2021-03-04T05`, listener: `127.0.0.1:${PORT}`, calls: [] });
      const { replayed, notes } = await play([{ ...one, startedAtUs: MORNING_US }], { recordedClock: true, command: [program] });
      assert.deepEqual(verdicts(replayed), ['different']);
      assert.deepEqual(notes.filter((note) => note.includes('clock')), ['the clock of inGo is today\'s: Go programs ask the kernel for the time, not the C library']);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('reaches Python, and says where its sleep would fail', async function () {
    const script = `import time, subprocess, sys\nfrom http.server import *\nclass H(BaseHTTPRequestHandler):\n  def do_GET(self):\n    b = time.strftime("%Y-%m-%dT%H", time.gmtime()).encode()\n`
      + `    self.wfile.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 13\\r\\nConnection: close\\r\\n\\r\\n" + b)\nHTTPServer(("127.0.0.1", ${PORT}), H).serve_forever()`;
    const sleeps = spawnSync('env', [`LD_PRELOAD=${findLibrary()}`, 'FAKETIME=-200000000', 'FAKETIME_DONT_FAKE_MONOTONIC=1', 'python3', '-c', 'import time; time.sleep(0.001)']).status === 0;
    const one = session({
      request: 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', response: 'HTTP/1.1 200 OK\r\nContent-Length: 13\r\nConnection: close\r\n\r\n2021-03-04T05',
      listener: `127.0.0.1:${PORT}`, calls: [],
    });
    const { replayed, notes } = await play([{ ...one, startedAtUs: MORNING_US }], { recordedClock: true, command: ['python3', '-c', script] });
    assert.deepEqual(verdicts(replayed), ['same'], JSON.stringify(replayed) + notes.join('\n'));
    assert.equal(notes.some((note) => note.includes('makes time.sleep')), !sleeps, notes.join('\n'));
  });

  const servers: readonly { readonly name: string; readonly needs: string; readonly file: string; readonly source: string; command(path: string): string[] }[] = [
    {
      name: 'C', needs: 'gcc', file: 'service.c', command: (path) => ['sh', '-c', `gcc -o ${path}.out ${path} && exec ${path}.out`],
      source: `#include <arpa/inet.h>\n#include <stdio.h>\n#include <string.h>\n#include <time.h>\n#include <unistd.h>\nint main(void) {\n  int one = 1, s = socket(AF_INET, SOCK_STREAM, 0);\n`
        + `  setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);\n  struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(${PORT}), .sin_addr = { htonl(INADDR_LOOPBACK) } };\n`
        + `  bind(s, (struct sockaddr *)&a, sizeof a);\n  listen(s, 9);\n  for (;;) {\n    char in[4096], hour[32], out[256];\n    int c = accept(s, 0, 0);\n    read(c, in, sizeof in);\n`
        + `    time_t now = time(0);\n    strftime(hour, sizeof hour, "%Y-%m-%dT%H", gmtime(&now));\n    snprintf(out, sizeof out, "%s%s", ${JSON.stringify(RESPONSE)}, hour);\n    write(c, out, strlen(out));\n    close(c);\n  }\n}\n`,
    },
    {
      name: 'PHP', needs: 'php', file: 'service.php', command: (path) => ['php', path],
      source: `<?php $s = stream_socket_server('tcp://127.0.0.1:${PORT}'); for (;;) { $c = stream_socket_accept($s, -1); fread($c, 4096); fwrite($c, ${JSON.stringify(RESPONSE)} . gmdate('Y-m-d\\TH')); fclose($c); }`,
    },
    {
      name: 'Java', needs: 'java', file: 'Service.java', command: (path) => ['java', path],
      source: `import java.net.*;\npublic class Service {\n  public static void main(String[] a) throws Exception {\n    var s = new ServerSocket(${PORT}, 9, InetAddress.getByName("127.0.0.1"));\n    for (;;) {\n      var c = s.accept();\n`
        + `      c.getInputStream().read(new byte[4096]);\n      c.getOutputStream().write((${JSON.stringify(RESPONSE)} + java.time.Instant.now().toString().substring(0, 13)).getBytes());\n      c.close();\n    }\n  }\n}\n`,
    },
  ];
  for (const { name, needs, file, source, command } of servers) {
    it(`reaches ${name}`, async function () {
      if (spawnSync('sh', ['-c', `command -v ${needs}`]).status !== 0) {
        console.log(`      skipped: there is no ${needs} here`);
        this.skip();
      }
      this.timeout(180_000);
      const folder = mkdtempSync(join(tmpdir(), 'koala-clock-'));
      const path = join(folder, file);
      writeFileSync(path, source);
      try {
        const one = session({ request: 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', response: `${RESPONSE}2021-03-04T05`, listener: `127.0.0.1:${PORT}`, calls: [] });
        const { replayed, notes } = await play([{ ...one, startedAtUs: MORNING_US }], { recordedClock: true, startupMs: 120_000, command: command(path) });
        assert.deepEqual(verdicts(replayed), ['same'], JSON.stringify(replayed) + notes.join('\n'));
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  }
});
