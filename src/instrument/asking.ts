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
const OPEN_MS = 10_000;
const CLOSE_MS = 5_000;
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
  const before = listenersOf(tgid);
  const port = named?.port ?? INSPECTOR_PORT;
  const open = before.find((socket) => port !== 0 && socket.local.port === port && (named?.open === true || port === INSPECTOR_PORT));
  // Somebody debugs it: the inspector is theirs, and stays as it is.
  if (open !== undefined) return evaluated(tgid, open, false);
  if (named === undefined) {
    const [other] = listenersOn(new Set([port])).filter((one) => one.tgid !== tgid && networkOf(one.tgid) === networkOf(tgid));
    if (other !== undefined) return refused(`port ${port}, where its inspector would listen, is taken by ${other.command} (${other.tgid})`);
  }
  if (!await until(CATCH_MS, () => catches(readFileSync(`/proc/${tgid}/status`, 'utf8')))) return refused(NOT_CAUGHT);
  const why = signalRefusal(tgid);
  if (why !== undefined) return refused(why);
  process.kill(tgid, constants.signals.SIGUSR1);
  const known = new Set(before.map(({ inode }) => inode));
  let opened: TcpSocket | undefined;
  const isOpen = await until(OPEN_MS, () => (opened = listenersOf(tgid).find(({ inode }) => !known.has(inode))) !== undefined);
  return isOpen ? evaluated(tgid, opened as TcpSocket, true) : refused(`its inspector did not open within ${OPEN_MS / 1000} s (its event loop is busy, or its log says why)`);
}

async function evaluated(tgid: number, { local, inode }: TcpSocket, ours: boolean): Promise<Answer> {
  let target: Target;
  const host = local.host === '0.0.0.0' || local.host === '::' ? '127.0.0.1' : local.host;
  try {
    target = await targetAt(host, local.port);
  } catch (error) {
    return refused(`what began to listen on port ${local.port} is no inspector: ${(error as Error).message}`);
  }
  const old = target.version !== undefined && Number.parseInt(target.version, 10) < MIN_MAJOR;
  const answer = await evaluate(target, old ? closing() : program(ours)) as Answer | undefined;
  if (ours) {
    const isClosed = (): boolean => !listenersOf(tgid).some((socket) => socket.inode === inode);
    if (!await until(CLOSE_MS, isClosed)) await evaluate(target, closing());
  }
  if (old) return refused(`Node ${target.version} is too old (${MIN_MAJOR} or later is needed)`);
  return answer?.state === 'on' || answer?.state === 'refused' ? answer : refused('it gave no answer');
}

async function until(ms: number, condition: () => boolean): Promise<boolean> {
  const endMs = performance.now() + ms;
  for (;;) {
    if (condition()) return true;
    if (performance.now() > endMs) return false;
    await sleep(LOOK_MS);
  }
}
