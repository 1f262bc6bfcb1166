/**
 * What the recorder holds in memory: at rest, with 10,000 open connections, after a million recorded requests. Resident
 * set, with the ring's pages (which are mapped twice and count twice) and without. `node --import tsx bench/memory.ts`
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const CONNECTIONS = 10_000;
const REQUESTS = 1_000_000;
const RING_BYTES = 16 << 20;
const folder = mkdtempSync(join(tmpdir(), 'koala-bench-'));
const port = 20_000 + (process.pid % 20_000);

if (process.argv[2] === 'server') {
  createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'));
  }).listen(Number(process.argv[3]), '127.0.0.1', 4096);
} else {
  const server = spawn(process.execPath, ['--import', 'tsx', import.meta.filename, 'server', String(port)], { stdio: 'inherit' });
  await sleep(1500);
  const recorder = spawn(resolve(import.meta.dirname, '../bin/koala-bpf'),
    ['attach', '--pid', String(server.pid), '--out', join(folder, 'recording'), '--json', '--min-free', '0', '--ring-bytes', String(RING_BYTES)], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  recorder.stdout.on('data', (chunk) => { text += String(chunk); });
  while (!text.includes('"recording"')) await sleep(50);
  const rows = ['| moment | resident, MB | of it ring pages, MB | without the ring, MB |', '|---|---|---|---|'];
  const look = (moment: string): void => {
    const maps = readFileSync(`/proc/${recorder.pid}/smaps`, 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
    const rss = (block: string): number => Number(/^Rss:\s+(\d+)/m.exec(block)?.[1] ?? 0) * 1024;
    const all = maps.reduce((sum, block) => sum + rss(block), 0);
    const ring = maps.filter((block) => block.includes('bpf-map')).reduce((sum, block) => sum + rss(block), 0);
    const mb = (bytes: number): string => (bytes / 1e6).toFixed(0);
    rows.push(`| ${moment} | ${mb(all)} | ${mb(ring)} | ${mb(all - ring)} |`);
  };
  look('at rest');
  const sockets: Socket[] = [];
  for (let index = 0; index < CONNECTIONS; index++) {
    const socket = connect(port, '127.0.0.1');
    sockets.push(socket);
    if (index % 200 === 0) await new Promise((done) => socket.once('connect', done));
  }
  await sleep(1000);
  for (const socket of sockets) socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await sleep(3000);
  look(`${CONNECTIONS.toLocaleString('en')} open connections`);
  for (const socket of sockets) socket.destroy();
  let done = 0;
  while (done < REQUESTS) {
    const run = spawnSync('wrk', ['-t1', '-c64', '-d5s', `http://127.0.0.1:${port}/`], { encoding: 'utf8' });
    done += Number(/(\d+) requests in/.exec(run.stdout)?.[1] ?? 0);
  }
  look(`after ${done.toLocaleString('en')} requests`);
  recorder.kill('SIGINT');
  await new Promise((end) => recorder.once('exit', end));
  server.kill();
  writeFileSync(1, `${rows.join('\n')}\n\n${text.trim().split('\n').at(-1) ?? ''}\n`);
  rmSync(folder, { recursive: true, force: true });
}
