/** One Node process is made to tell of its calls: inspector opened, our code evaluated, inspector closed again. */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { listenersOn, networkOf } from '../kernel/processes.ts';
import type { TcpSocket } from '../kernel/tcp-table.ts';
import { catches, INSPECTOR_PORT, listenersOf, namedInspectorPort, NOT_CAUGHT, optionsOf, signalRefusal } from './candidate.ts';
import { evaluate, targetAt } from './inspector.ts';
import type { Target } from './inspector.ts';
import { closing, program } from './program.ts';

/** `port`: the UDP port that it speaks from; gone when it has let go. */
export type Answer = { readonly state: 'on'; readonly port: number } | { readonly state: 'refused'; readonly why: string };

/** A process that begins needs so long until it catches signals; one that is busy, until its inspector is open or closed. */
const CATCH_MS = 5_000;
const OPEN_MS = 60_000;
const CLOSE_MS = 2_000;
const CLOSE_ATTEMPTS = 3;
const OTHERS_MS = 3_000;
/** It listens where that is expected long before that, if it does. */
const ELSEWHERE_MS = 2_000;
const LOOK_MS = 10;
/** What our code needs: diagnostics_channel's `http.server.request.start`, AsyncLocalStorage. */
const MIN_MAJOR = 18;

const refused = (why: string): Answer => ({ state: 'refused', why });

/** Never throws for what the process is or does; whoever calls lives in its network namespace. */
export async function ask(tgid: number): Promise<Answer> {
  try {
    return await asked(tgid);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return refused('it has ended');
    return refused(code === 'EPERM' ? 'it may not be signalled (another user namespace?)' : message);
  }
}

async function asked(tgid: number): Promise<Answer> {
  const named = namedInspectorPort(optionsOf(tgid));
  const port = named?.port ?? INSPECTOR_PORT;
  const openOne = (): TcpSocket | undefined => port === 0 ? undefined : listenersOf(tgid).find(({ local }) => local.port === port);
  // Another recorder may be talking with it, or one that was killed a moment ago.
  if (named?.open !== true && openOne() !== undefined) await until(OTHERS_MS, () => openOne() === undefined);
  const before = listenersOf(tgid);
  const open = openOne();
  // Somebody debugs it: the inspector is theirs, and stays as it is.
  if (open !== undefined) return evaluated(tgid, { socket: open, target: await targetOf(open) }, false);
  if (named === undefined) {
    const [other] = listenersOn(new Set([port])).filter((one) => one.tgid !== tgid && networkOf(one.tgid) === networkOf(tgid));
    if (other !== undefined) return refused(`port ${port}, where its inspector would listen, is taken by ${other.command} (${other.tgid})`);
  }
  if (!await until(CATCH_MS, () => catches(readFileSync(`/proc/${tgid}/status`, 'utf8')))) return refused(NOT_CAUGHT);
  const why = signalRefusal(tgid);
  if (why !== undefined) return refused(why);
  const known = new Set(before.map(({ inode }) => inode));
  process.kill(tgid, constants.signals.SIGUSR1);
  const opened = await inspectorOf(tgid, port, known);
  return opened === undefined ? refused(`its inspector did not open within ${OPEN_MS / 1000} s (its event loop is busy, or its log says why)`) : evaluated(tgid, opened, true);
}

/** The inspector that SIGUSR1 opened: what began to listen where that is expected, or, if nothing does, elsewhere (process.debugPort). */
async function inspectorOf(tgid: number, port: number, known: ReadonlySet<string>): Promise<Inspector | undefined> {
  const beganMs = performance.now();
  let found: Inspector | undefined;
  await until(OPEN_MS, async () => {
    const anywhere = port === 0 || performance.now() - beganMs > ELSEWHERE_MS;
    for (const socket of listenersOf(tgid)) {
      if (known.has(socket.inode) || (!anywhere && socket.local.port !== port)) continue;
      const target = await targetOf(socket).catch(() => undefined);
      if (target?.version !== undefined) return (found = { socket, target }) !== undefined;
    }
    return false;
  });
  return found;
}

const targetOf = ({ local: { host, port } }: TcpSocket): Promise<Target> => targetAt(host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host, port);

interface Inspector {
  readonly socket: TcpSocket;
  readonly target: Target;
}

async function evaluated(tgid: number, { socket, target }: Inspector, ours: boolean): Promise<Answer> {
  const old = target.version !== undefined && Number.parseInt(target.version, 10) < MIN_MAJOR;
  let answer: Answer;
  try {
    const value = old && !ours ? undefined : await evaluate(target, old ? closing() : program(ours)) as Answer | undefined;
    answer = value?.state === 'on' || value?.state === 'refused' ? value : refused('it gave no answer');
  } catch (error) {
    answer = refused((error as Error).message);
  }
  if (ours && !await closed(tgid, socket, target)) return refused(`${answer.state === 'on' ? 'it is asked, but' : `${answer.why}; and`} its inspector is still open on port ${socket.local.port}`);
  return old ? refused(`Node ${target.version} is too old (${MIN_MAJOR} or later is needed)`) : answer;
}

/** Our code closes it; where that did not come to run, it is closed by hand. */
async function closed(tgid: number, { inode }: TcpSocket, target: Target): Promise<boolean> {
  const isClosed = (): boolean => {
    try {
      return !listenersOf(tgid).some((socket) => socket.inode === inode);
    } catch {
      return true; // it has ended
    }
  };
  for (let attempt = 0; attempt < CLOSE_ATTEMPTS; attempt += 1) {
    if (await until(CLOSE_MS, isClosed)) return true;
    await evaluate(target, closing()).catch(() => undefined);
  }
  return until(CLOSE_MS, isClosed);
}

async function until(ms: number, condition: () => boolean | Promise<boolean>): Promise<boolean> {
  const endMs = performance.now() + ms;
  for (;;) {
    if (await condition()) return true;
    if (performance.now() > endMs) return false;
    await sleep(LOOK_MS);
  }
}
