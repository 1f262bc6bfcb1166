/**
 * What a replay holds in memory while it plays 100,000 sessions, what its proxy adds to a call, and how it answers 1,000
 * connections at a time. Run: `node --expose-gc --import tsx bench/replay-steady.ts [--sessions N]`. Needs root and a C compiler.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { owned } from '../src/replay/owned.ts';
import type { ReplayOptions } from '../src/replay/options.ts';
import { replay } from '../src/replay/replay.ts';
import type { Session } from '../src/sessions/session.ts';
import { buildService, DEPENDENCY, PORT, sessionOf } from './replay-sessions.ts';

const { values } = parseArgs({ options: { sessions: { type: 'string', default: '100000' } } });
const SESSIONS = Number(values.sessions);
const CALLS = 5_000;
const CONNECTIONS = 1_000;

const options = (command: readonly string[], more: Partial<ReplayOptions> = {}): ReplayOptions => ({
  command, concurrency: 8, match: 'none', threshold: 0.7, onMiss: 'fail', answerMs: 60_000, quietMs: 100, startupMs: 30_000, allowIncomplete: false,
  signal: new AbortController().signal, note: (text) => { console.error(text); }, ...more,
});

/** Resident, and what this thread holds after a full collection, buffers that it gave the other one included; bytes. */
function memoryNow(): { resident: number; held: number } {
  (globalThis as { gc?: () => void }).gc?.();
  const { rss, heapUsed, arrayBuffers } = process.memoryUsage();
  return { resident: rss, held: heapUsed + arrayBuffers };
}

/** Sessions with two calls each. The recorded ones are made beforehand, and held throughout, as `replay` has them. */
async function memory(service: string): Promise<void> {
  const sessions = Array.from({ length: SESSIONS }, (_, n) => ({ session: owned(sessionOf(n, 2, 50)) }));
  const loaded = memoryNow();
  let first = loaded;
  const marks = new Set([0.1, 0.25, 0.5, 0.75, 1].map((part) => Math.round(SESSIONS * part)));
  const rows: string[] = [];
  let done = 0;
  let same = 0;
  for await (const { verdict } of replay(sessions, options([service, String(PORT), '32', ...DEPENDENCY.split(':')]))) {
    done += 1;
    if (verdict === 'same') same += 1;
    if (!marks.has(done)) continue;
    const now = memoryNow();
    if (rows.length === 0) first = now;
    const grown = (to: number, from: number): string => (rows.length === 0 ? '–' : `${Math.round((to - from) / (done - SESSIONS / 10))}`);
    rows.push(`| ${done} | ${Math.round(now.resident / 1e6)} | ${grown(now.resident, first.resident)} | ${Math.round(now.held / 1e6)} | ${grown(now.held, first.held)} |`);
  }
  console.log(`Memory after so many sessions of two calls each, 8 at a time; ${same} of ${SESSIONS} the same\n
| sessions played | resident, MB | bytes a session since the first line | held by the main thread, MB | bytes a session |
|---|---|---|---|---|
| the recorded ones loaded, none played | ${Math.round(loaded.resident / 1e6)} | – | ${Math.round(loaded.held / 1e6)} | – |
${rows.join('\n')}\n`);
}

function percentiles(path: string): string {
  const some = readFileSync(path, 'utf8').trim().split('\n').map(Number).sort((a, b) => a - b);
  return [0.5, 0.9, 0.99, 0.999].map((part) => ((some[Math.floor(some.length * part)] ?? 0) / 1000).toFixed(0)).join(' | ');
}

/** The same calls answered by a server like the service itself, and by the replayer. */
async function latency(service: string, folder: string): Promise<void> {
  const [directly, replayed] = [join(folder, 'direct'), join(folder, 'replayed')];
  const dependency = spawn(service, [String(PORT + 1), '4', '127.0.0.1', '1']);
  const asking = spawn(service, [String(PORT), '4', '127.0.0.1', String(PORT + 1), directly]);
  await sleep(300);
  const client = connect(PORT, '127.0.0.1', () => { client.write(`GET /calls/0/${CALLS} HTTP/1.1\r\nHost: a\r\n\r\n`); });
  await once(client, 'data');
  client.destroy();
  for (const one of [dependency, asking]) one.kill('SIGKILL');
  const command = [service, String(PORT), '32', ...DEPENDENCY.split(':'), replayed];
  for await (const { verdict } of replay([{ session: sessionOf(0, CALLS, 1) }], options(command, { concurrency: 1 }))) if (verdict !== 'same') throw new Error(verdict);
  console.log(`A call, µs, ${CALLS} of them one after the other\n\n| answered by | median | p90 | p99 | p99.9 |\n|---|---|---|---|---|\n| a server of its own | ${percentiles(directly)} |\n| the replayer | ${percentiles(replayed)} |\n`);
}

/** A session whose service opens so many connections at once, and waits for an answer on each. */
async function connections(): Promise<void> {
  const service = fileURLToPath(new URL('../test/e2e/replay/service.mjs', import.meta.url));
  const plan = Buffer.from(JSON.stringify([{ to: DEPENDENCY, send: 'GET /items/# HTTP/1.1\r\nHost: items\r\n\r\n', read: 44, repeat: CONNECTIONS, timeoutMs: 60_000 }])).toString('base64url');
  const made = sessionOf(0, CONNECTIONS, 1);
  const request = { ...made.inbound.request[0]!, bytes: new Uint8Array(Buffer.from(`GET /run/${plan} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)) };
  const session: Session = { ...made, inbound: { ...made.inbound, request: [request] } };
  for await (const { calls, durationMs } of replay([{ session }], options([process.execPath, service, String(PORT)], { concurrency: 1 }))) {
    console.log(`${CONNECTIONS} connections open at a time: ${calls.filter(({ verdict }) => verdict === 'same').length} calls answered in ${Math.round(durationMs)} ms, the service (Node) included\n`);
  }
}

const folder = mkdtempSync(join(tmpdir(), 'koala-bench-'));
try {
  const service = buildService(folder);
  await latency(service, folder);
  await connections();
  await memory(service);
} finally {
  rmSync(folder, { recursive: true });
}
