/** CMD: started as the invoking user, held before its first instruction until the probes watch it. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Writable } from 'node:stream';
import { UserError } from '../errors.ts';
import { asInvoker } from '../kernel/invoker.ts';

export interface HeldChild {
  readonly tgid: number;
  /** Lets it run. */
  release(): void;
  kill(signal: NodeJS.Signals): void;
  /** Its end: exit status, or 128 + the signal's number as a shell has it. */
  readonly ended: Promise<number>;
}

/** Throws UserError where CMD is no executable. `stdoutToStderr`: stdout is for data. */
export function startHeld(command: readonly string[], stdoutToStderr: boolean): HeldChild {
  const [program] = command;
  if (program === undefined || program === '') throw new UserError('-- needs a command behind it');
  findExecutable(program);
  // A shell that waits for a line, then becomes the command: the pid stays the same.
  const hold = ['/bin/sh', '-c', 'read -r _ <&3 || exit 125; exec 3<&-; exec "$@"', 'koala-bpf', ...command];
  const { argv, env } = asInvoker(hold);
  const child: ChildProcess = spawn(argv[0] ?? '', argv.slice(1), {
    env, stdio: ['inherit', stdoutToStderr ? 2 : 'inherit', 'inherit', 'pipe'],
  });
  const gate = child.stdio[3] as Writable;
  gate.on('error', () => undefined); // it died before it was released: `ended` tells
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', (error) => reject(new UserError(`Cannot start ${program}: ${error.message}`)));
    child.once('exit', (code, signal) => resolve(code ?? 128 + signalNumber(signal)));
  });
  ended.catch(() => undefined);
  return {
    tgid: child.pid ?? 0,
    release: () => { gate.end('\n'); },
    kill: (signal) => { child.kill(signal); },
    ended,
  };
}

const SIGNALS: Partial<Record<NodeJS.Signals, number>> = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGABRT: 6, SIGKILL: 9, SIGSEGV: 11, SIGTERM: 15 };
const signalNumber = (signal: NodeJS.Signals | null): number => (signal === null ? 0 : SIGNALS[signal] ?? 0);

function findExecutable(program: string): void {
  const paths = program.includes('/') ? [program] : (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, program));
  const there = paths.filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile() === true);
  if (there.length === 0) throw new UserError(`${program}: no such command${program.includes('/') ? '' : ' in PATH'}`);
  const runs = there.some((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
  if (!runs) throw new UserError(`${program}: not executable (chmod +x ${there[0] ?? program}?)`);
}
