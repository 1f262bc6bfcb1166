/** Whether a process runs Node and may be asked: SIGUSR1 opens Node's inspector, and ends or disturbs whatever else gets it. */
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, readSync } from 'node:fs';
import { constants } from 'node:os';
import { SA_RESTART, signalAction } from '../kernel/signal-action.ts';
import type { SignalAction } from '../kernel/signal-action.ts';
import { executableOf } from '../kernel/processes.ts';
import { LISTEN, tcpSockets } from '../kernel/tcp-table.ts';
import type { TcpSocket } from '../kernel/tcp-table.ts';
import { isNodeName } from './node-name.ts';

const { SIGUSR1 } = constants.signals;
/** Every Node exports it, for addons (src/node.h). */
const MARK = Buffer.from('node_module_register\0');
const PIECE = 4 << 20;
/** src/node.cc: where `--inspect` is given no other, and SIGUSR1 neither. */
export const INSPECTOR_PORT = 9229;

const known = new Map<string, boolean>();

/** Node's own code is in its executable, or in the libnode that it has mapped. */
export function isNode(tgid: number): boolean {
  const path = executableOf(tgid);
  if (!isNodeName(path)) return false;
  const key = `${path} ${readlinkSync(`/proc/${tgid}/exe`)}`;
  const before = known.get(key);
  if (before !== undefined) return before;
  const found = holds(`/proc/${tgid}/exe`, MARK) || /\/libnode\.so/.test(readFileSync(`/proc/${tgid}/maps`, 'utf8'));
  known.set(key, found);
  return found;
}

function holds(path: string, mark: Buffer): boolean {
  const fd = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(PIECE + mark.length);
    for (let at = 0; ; at += PIECE) {
      const length = readSync(fd, bytes, 0, bytes.length, at);
      if (bytes.subarray(0, length).includes(mark)) return true;
      if (length < bytes.length) return false;
    }
  } finally {
    closeSync(fd);
  }
}

/** /proc/PID/status: whether it catches SIGUSR1 by now. A Node that is about to begin doesn't yet, and would be ended by it. */
export function catches(status: string, signal: number = SIGUSR1): boolean {
  const mask = /^SigCgt:\t([0-9a-f]+)$/m.exec(status)?.[1];
  return mask !== undefined && (BigInt(`0x${mask}`) & (1n << BigInt(signal - 1))) !== 0n;
}

/**
 * Node asks for its own handler without SA_RESTART (RegisterSignalHandler in src/node.cc), libuv for those of
 * `process.on('SIGUSR1')` always with it (uv__signal_register_handler in src/unix/signal.c).
 */
export const isOwnHandler = ({ flags }: SignalAction): boolean => (flags & SA_RESTART) !== 0n;

export const NOT_CAUGHT = 'it does not catch SIGUSR1 (--disable-sigusr1, or a Node without inspector)';

/** Why SIGUSR1 must not be sent; undefined: it may. Throws EnvironmentError where the kernel can't tell. */
export function signalRefusal(tgid: number): string | undefined {
  if (!catches(readFileSync(`/proc/${tgid}/status`, 'utf8'))) return NOT_CAUGHT;
  const action = signalAction(tgid, SIGUSR1);
  if (action === undefined) return 'it has ended';
  return isOwnHandler(action) ? 'it has a SIGUSR1 handler of its own, which would run instead of opening the inspector' : undefined;
}

/** Its own listening TCP sockets. */
export function listenersOf(tgid: number): TcpSocket[] {
  const inodes = new Set(readdirSync(`/proc/${tgid}/fd`).map((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${tgid}/fd/${fd}`))?.[1];
    } catch {
      return undefined; // closed meanwhile
    }
  }));
  return tcpSockets(tgid).filter(({ state, inode }) => state === LISTEN && inodes.has(inode));
}

/** The port that its command line or NODE_OPTIONS name for the inspector; 0: any. Undefined: none is named. */
export function namedInspectorPort(words: readonly string[]): { readonly port: number; readonly open: boolean } | undefined {
  let found: { port: number; open: boolean } | undefined;
  for (const word of words) {
    const match = /^--(inspect(?:-brk|-wait)?|inspect-port|debug-port)(?:=(?:.*:)?(\d+))?$/.exec(word);
    if (match === null) continue;
    const open = !(match[1] as string).endsWith('-port') || found?.open === true;
    found = { port: match[2] === undefined ? found?.port ?? INSPECTOR_PORT : Number(match[2]), open };
  }
  return found;
}

/** Words of its command line and of its NODE_OPTIONS. */
export function optionsOf(tgid: number): string[] {
  const environment = readFileSync(`/proc/${tgid}/environ`, 'latin1').split('\0').find((one) => one.startsWith('NODE_OPTIONS='));
  return [...(environment ?? '').slice('NODE_OPTIONS='.length).split(/\s+/), ...readFileSync(`/proc/${tgid}/cmdline`, 'latin1').split('\0')];
}
