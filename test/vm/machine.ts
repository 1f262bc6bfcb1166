/** Runs `scripts/vm` for the tests: each call in a temporary folder of its own, so that what it leaves behind shows. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const project = fileURLToPath(new URL('../..', import.meta.url));
export const script = join(project, 'scripts/vm');

export interface Run {
  readonly status: number | NodeJS.Signals;
  readonly stdout: Buffer;
  readonly stderr: string;
  /** Names of what it left in its temporary folder; nothing, when it cleaned up. */
  readonly left: readonly string[];
}

export interface Started {
  readonly child: ChildProcess;
  readonly tmp: string;
  readonly ended: Promise<Run>;
}

export function start(args: readonly string[], env: Readonly<Record<string, string>> = {}, command = script): Started {
  const tmp = mkdtempSync(join(tmpdir(), 'koala-vm-test.'));
  const child = spawn(command, args, { env: { ...process.env, ...env, TMPDIR: tmp }, stdio: ['ignore', 'pipe', 'pipe'] });
  const out: Buffer[] = [];
  const errors: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
  const ended = new Promise<Run>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const left = readdirSync(tmp);
      rmSync(tmp, { recursive: true, force: true });
      resolve({ status: signal ?? code ?? -1, stdout: Buffer.concat(out), stderr: Buffer.concat(errors).toString(), left });
    });
  });
  return { child, tmp, ended };
}

export function vm(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Run> {
  return start(args, env).ended;
}

/** Why a run could not even begin here (75: the series is gone, 3: this host lacks something), or undefined. */
export function reasonToSkip(run: Run): string | undefined {
  if (run.status !== 75 && run.status !== 3) return undefined;
  return run.stderr.trim().split('\n').at(-1) ?? `status ${run.status}`;
}

/** The series that `scripts/vm` knows, or the tests for one. */
export function listed(...what: readonly ['kernels'] | readonly ['tests', string]): string[] {
  return execFileSync(script, what, { encoding: 'utf8' }).trim().split('\n');
}
