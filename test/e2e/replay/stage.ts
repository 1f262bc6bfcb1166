/** Plays hand-made sessions against the service beside this file, which does what its requests say. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { ReplayOptions } from '../../../src/replay/options.ts';
import { replay } from '../../../src/replay/replay.ts';
import type { Replayed } from '../../../src/replay/replayed.ts';
import type { OutboundTalk, Session } from '../../../src/sessions/session.ts';
import { session, type SessionFacts } from '../../unit/replay/build.ts';

export const SERVICE = fileURLToPath(new URL('service.mjs', import.meta.url));
/** The same service as threads, each of which serves one request at a time. */
export const THREADS = fileURLToPath(new URL('threads.py', import.meta.url));
export const PORT = 18_080;

/** What the service is told to do: one call. */
export interface Step {
  readonly to: string;
  readonly send: string;
  /** Characters of the answer to wait for; 0: until the connection ends. */
  readonly read: number;
  readonly keep?: string;
  readonly timeoutMs?: number;
  readonly repeat?: number;
}

export function planRequest(steps: readonly Step[]): string {
  return `GET /run/${Buffer.from(JSON.stringify(steps)).toString('base64url')} HTTP/1.1\r\nHost: service\r\nConnection: close\r\n\r\n`;
}

export function planResponse(results: readonly string[]): string {
  const body = Buffer.from(JSON.stringify({ results })).toString('latin1');
  return `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`;
}

/** A recorded session in which the service did `steps`, got `results`, and which recorded `calls`. */
export function planned(steps: readonly Step[], results: readonly string[], calls: readonly OutboundTalk[], more: Partial<SessionFacts> = {}): Session {
  return session({ request: planRequest(steps), response: planResponse(results), listener: `127.0.0.1:${PORT}`, calls, ...more });
}

export interface Played {
  readonly replayed: Replayed[];
  readonly notes: string[];
}

export async function play(sessions: readonly Session[], more: Partial<ReplayOptions> = {}, environment: Readonly<Record<string, string>> = {}): Promise<Played> {
  const notes: string[] = [];
  const replayed: Replayed[] = [];
  const options: ReplayOptions = {
    command: ['env', ...Object.entries(environment).map(([name, value]) => `${name}=${value}`), process.execPath, SERVICE, String(PORT)],
    match: 'sim', threshold: 0.7, onMiss: 'fail', answerMs: 5_000, quietMs: 100, startupMs: 10_000, allowIncomplete: false,
    signal: new AbortController().signal, note: (text) => { notes.push(text); }, ...more,
  };
  for await (const one of replay(sessions.map((each) => ({ session: each })), options)) replayed.push(one);
  return { replayed, notes };
}

/** Why replays can't run here, or undefined when they can. */
export function cannotReplay(): string | undefined {
  if (process.getuid?.() !== 0) return 'not root';
  try {
    execFileSync('unshare', ['--net', 'iptables', '-t', 'nat', '-A', 'OUTPUT', '-p', 'tcp', '-j', 'REDIRECT', '--to-ports', '1'], { stdio: 'pipe' });
    return undefined;
  } catch (error) {
    return `iptables REDIRECT is refused in a network namespace: ${error instanceof Error ? error.message.split('\n')[1] ?? '' : ''}`;
  }
}

/** In the environment of all that this test process starts: another run of the same tests, beside this one, is not ours. */
const OURS = `KOALA_REPLAY_TEST=${process.pid}`;
process.env['KOALA_REPLAY_TEST'] = String(process.pid);

/** Every process of this test run whose command line holds `text`. */
export function processesWith(text: string): string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).flatMap((pid) => {
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
      const isOurs = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(OURS);
      return line.includes(text) && isOurs && Number(pid) !== process.pid ? [`${pid} ${line}`] : [];
    } catch {
      return [];
    }
  });
}

/** What a replay could leave behind on the host: rules, routes, named namespaces, and mounts where a replay makes some. */
export function hostState(): string {
  const ask = (command: string, ...args: string[]): string => execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n').filter((line) => / (\/null \S+|\S+ \/proc\S*|\S+\.sock) /.test(line) || line.includes(' koala-bpf '));
  return [ask('iptables', '-t', 'nat', '-S'), ask('ip6tables', '-t', 'nat', '-S'), ask('iptables', '-S'), ask('ip', 'netns', 'list'),
    ask('ip', 'rule'), ask('ip', 'route', 'show', 'table', 'local'), ...mounts].join('\n');
}
