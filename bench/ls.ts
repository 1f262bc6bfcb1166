/**
 * `ls` on a large recording: how long the first one takes (it derives everything and keeps an index), and the later ones.
 * Synthetic: threads behind one listener serve keep-alive HTTP, each request with a call to an upstream on a pooled connection.
 *
 *   node --import tsx bench/ls.ts [--sessions N] [--dir DIR]      DIR is kept, to be listed by hand
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openRecording } from '../src/store/recording.ts';
import { openSessionIndex } from '../src/store/session-index.ts';
import type { SessionFilter } from '../src/store/session-index.ts';
import { SegmentWriter } from '../src/store/writer.ts';
import { open, Streams } from '../test/unit/store/traffic.ts';

const THREADS = 64;
const US_BETWEEN_EVENTS = 4n;

function argument(name: string): string | undefined {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : process.argv[at + 1];
}

function record(dir: string, sessions: number): void {
  const facts = { bootId: '', host: '', kernel: '', probe: 'bench', koalaVersion: '', filters: [] };
  let atNs = 5_000_000_000n;
  const next = (): bigint => (atNs += US_BETWEEN_EVENTS * 1000n);
  const clock = (): { unixNs: bigint; monotonicNs: bigint } => ({ unixNs: 1_800_000_000_000_000_000n + atNs, monotonicNs: atNs });
  const to = new SegmentWriter({ dir, facts, minFreeBytes: 0, clock });
  const streams = new Streams();
  const body = JSON.stringify({ items: ['abc', 'def'], total: '12.50' });
  const answer = (status: number): string => `HTTP/1.1 ${status} Said\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  for (let made = 0; made < sessions; made += 1) {
    const thread = made % THREADS;
    const [inbound, outbound, tid] = [1 + thread, 1001 + thread, 100 + thread];
    if (made < THREADS) {
      open(to, inbound, 'inbound', next());
      open(to, outbound, 'outbound', next());
    }
    streams.said(to, inbound, 'ingress', `GET /orders/${made} HTTP/1.1\r\nhost: shop.example\r\nuser-agent: bench\r\n\r\n`, next(), tid);
    streams.said(to, outbound, 'egress', `GET /stock/${made % 1000} HTTP/1.1\r\nhost: stock.example\r\n\r\n`, next(), tid);
    streams.said(to, outbound, 'ingress', answer(200), next(), tid);
    streams.said(to, inbound, 'egress', answer(made % 1000 === 7 ? 503 : 200), next(), tid);
  }
  to.close();
}

/** Wall clock and the highest resident size so far. */
function timed<T>(what: string, run: () => T): T {
  const from = process.hrtime.bigint();
  const cpu = process.cpuUsage();
  const result = run();
  const seconds = Number(process.hrtime.bigint() - from) / 1e9;
  const { user, system } = process.cpuUsage(cpu);
  const mib = Math.round(process.resourceUsage().maxRSS / 1024);
  console.log(`${what.padEnd(34)} ${seconds.toFixed(2).padStart(8)} s   ${((user + system) / 1e6).toFixed(2).padStart(8)} s CPU   ${String(mib).padStart(5)} MiB`);
  return result;
}

const sessions = Number(argument('--sessions') ?? 1_000_000);
const kept = argument('--dir');
const folder = mkdtempSync(join(tmpdir(), 'koala-ls-'));
const dir = kept ?? join(folder, 'rec');
try {
  console.log(`what${' '.repeat(38)}took${' '.repeat(29)}highest resident`);
  timed(`recording ${sessions} sessions`, () => record(dir, sessions));
  const options = { quietMs: 5000 };
  const count = (filter: SessionFilter): number => {
    const index = openSessionIndex(openRecording(dir), options);
    let listed = 0;
    for (const _ of index.list(filter)) listed += 1;
    index.close();
    return listed;
  };
  timed('the first: the index is made', () => count({}));
  console.log(`${timed('later: all of them', () => count({}))} listed`);
  console.log(`${timed('later: --grep orders/77', () => count({ grep: 'orders/77' }))} listed`);
  console.log(`${timed('later: --status 5xx', () => count({ status: '5xx' }))} listed`);
  timed('later: show the last', () => {
    const index = openSessionIndex(openRecording(dir), options);
    let last = '';
    for (const { id } of index.list()) last = id;
    index.load(index.find(last));
    index.close();
  });
} finally {
  rmSync(folder, { recursive: true, force: true });
}
