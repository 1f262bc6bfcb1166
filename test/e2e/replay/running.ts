/** Services and databases that run already, for replays that take them as they are. */
import { spawn, type ChildProcess } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { cgroupRoot } from '../../../src/kernel/probes.ts';
import { LISTEN, tcpSockets } from '../../../src/kernel/tcp-table.ts';
import { cannotReplay, SERVICE } from './stage.ts';

export const DATABASE = fileURLToPath(new URL('database.mjs', import.meta.url));
export const OLD_SOCKETS = fileURLToPath(new URL('old-sockets.py', import.meta.url));

/** Why a running service can't be redirected here, or undefined when it can. */
export function cannotTakeRunning(): string | undefined {
  return cannotReplay() ?? (cgroupRoot() === undefined ? 'no cgroup2 hierarchy is mounted' : undefined);
}

export interface Started {
  readonly child: ChildProcess;
  readonly pid: number;
  /** Lines of its stdout so far. */
  readonly lines: string[];
  stop(): Promise<void>;
}

/** Starts `argv` and waits for a line "up" on its stdout, or for something to listen on 127.0.0.1:`port`. */
export async function started(argv: readonly string[], port?: number): Promise<Started> {
  const [command = '', ...rest] = argv;
  const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: string[] = [];
  let text = '';
  child.stdout.on('data', (bytes: Buffer) => {
    text += bytes.toString();
    const whole = text.split('\n');
    text = whole.pop() ?? '';
    lines.push(...whole);
  });
  const gone = new Promise<void>((resolve) => { child.once('exit', () => { resolve(); }); });
  await until(`${rest.join(' ')} to be up`, () => child.exitCode !== null || (port === undefined ? lines.includes('up')
    : tcpSockets(child.pid ?? 0).some(({ state, local }) => state === LISTEN && local.port === port)));
  return { child, pid: child.pid ?? 0, lines, stop: async () => { child.kill('SIGKILL'); await gone; } };
}

export async function until(what: string, holds: () => boolean | Promise<boolean>, boundMs = 30_000): Promise<void> {
  for (const since = Date.now(); !await holds();) {
    if (Date.now() - since > boundMs) throw new Error(`waited ${boundMs} ms for ${what}`);
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
}

export const startService = (port: number): Promise<Started> => started([process.execPath, SERVICE, String(port)], port);
export const startDatabase = (port: number): Promise<Started> => started([process.execPath, DATABASE, String(port)]);

/** Cgroups of replays, and the notes of what they changed. */
export function leftovers(): string[] {
  const names = (folder: string): string[] => {
    try {
      return readdirSync(folder);
    } catch {
      return [];
    }
  };
  const root = cgroupRoot();
  return [...(root === undefined ? [] : names(root).filter((name) => name.startsWith('koala-bpf-'))), ...names('/run/koala-bpf')];
}
