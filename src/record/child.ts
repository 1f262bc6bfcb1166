/** CMD: started as the invoking user, held before its first instruction until the probes watch it. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import type { Writable } from 'node:stream';
import { UserError } from '../errors.ts';
import { asInvoker } from '../kernel/invoker.ts';
import { refuseUnrunnable } from './executable.ts';

export interface HeldChild {
  readonly tgid: number;
  /** Lets it run. */
  release(): void;
  kill(signal: NodeJS.Signals): void;
  /** No more is wanted of it here: this process may end before it. Held still, it is ended: nobody else could ever let it run. Can be called twice. */
  leave(): void;
  /** Its end: exit status, or 128 + the signal's number as a shell has it. Rejects with UserError if it could not be executed. */
  readonly ended: Promise<number>;
}

const NOT_RUN = 'SIGSTKFLT';

/** Throws UserError where CMD is no executable. `stdoutToStderr`: stdout is for data. */
export function startHeld(command: readonly string[], stdoutToStderr: boolean): HeldChild {
  const [program] = command;
  if (program === undefined || program === '') throw new UserError('-- needs a command behind it');
  refuseUnrunnable(program);
  // A shell that waits for a line, then becomes the command: the pid stays the same. Where this process dies first, it reads the
  // pipe's end, and ends without having run anything. Where it can't become the command, it ends by a signal that
  // no program uses, for any exit status could be the command's own.
  const script = `read -r _ <&3 || exit 125; exec 3<&-; trap 'kill -${constants.signals[NOT_RUN]} $$' EXIT; exec "$@"`;
  const hold = ['/bin/sh', '-c', script, 'koala-bpf', ...command];
  const { argv, env } = asInvoker(hold);
  const child: ChildProcess = spawn(argv[0] ?? '', argv.slice(1), {
    env, stdio: ['inherit', stdoutToStderr ? 2 : 'inherit', 'inherit', 'pipe'],
  });
  const gate = child.stdio[3] as Writable;
  gate.on('error', () => undefined); // it died before it was released: `ended` tells
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', (error) => reject(new UserError(`Cannot start ${program}: ${error.message}`)));
    child.once('exit', (code, signal) => {
      if (signal === NOT_RUN) reject(new UserError(`${program}: cannot be executed (by this user)`));
      else resolve(code ?? 128 + signalNumber(signal));
    });
  });
  ended.catch(() => undefined);
  let held = true;
  return {
    tgid: child.pid ?? 0,
    release: () => {
      held = false;
      gate.end('\n');
    },
    kill: (signal) => { child.kill(signal); },
    leave: () => {
      if (held) child.kill('SIGKILL');
      child.unref();
    },
    ended,
  };
}

export const signalNumber = (signal: NodeJS.Signals | null): number => (signal === null ? 0 : constants.signals[signal]);
