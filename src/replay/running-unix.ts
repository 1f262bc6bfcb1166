/**
 * The unix sockets of a service that runs already: those that its recorded sessions call lead to the replayer, its own and
 * those that are let through lead where they did, all others are refused; its open connections to others are ended, as if
 * their servers had gone. The kernel forgets all of it with this process; only the connections have to be opened anew.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { posix } from 'node:path';
import { EnvironmentError } from '../errors.ts';
import { shutDown, socketsOf, unixFacts, type ForeignSocket, type UnixFacts } from '../kernel/foreign-sockets.ts';
import { LoadError } from '../kernel/libbpf.ts';
import { gateRefusal, UnixGate, UNIX_NAME_BYTES } from '../kernel/unix-gate.ts';
import type { Owner } from './owner.ts';

/** Of an abstract name of ours; the first byte is what makes it abstract. */
const OURS = '\0koala-bpf-';
/** A standard stream can't be opened anew. */
const LAST_STANDARD_FD = 2;
/** A connection may be made between two looks; nothing makes them without end. */
const LOOKS = 5;
const MAX_NAMED = 3;

/** Where, in the service's network namespace, the socket at `index` is played: an abstract name, as long as one can be. */
export const playedName = (owner: Owner, index: number): string => `${OURS}${owner}-${index}`.padEnd(UNIX_NAME_BYTES, '-');

export interface UnixPlan {
  /** Paths that are played, by their index. */
  readonly played: readonly string[];
  /** Paths that lead where they did. */
  readonly bypassed: readonly string[];
}

interface Held {
  readonly socket: ForeignSocket;
  readonly facts: UnixFacts;
}

function held(tgids: readonly number[]): Held[] {
  return tgids.flatMap(socketsOf).flatMap((socket) => {
    const facts = unixFacts(socket);
    return facts === undefined ? [] : [{ socket, facts }];
  });
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path, 'latin1');
  } catch {
    return '';
  }
}

/** What leads elsewhere at the top of a root folder: /var/run, for one. */
function links(root: string): [from: string, to: string][] {
  return ['/', '/var'].flatMap((folder) => {
    try {
      return readdirSync(`${root}${folder}`, { withFileTypes: true, encoding: 'latin1' }).filter((entry) => entry.isSymbolicLink()).map((entry): [string, string] => {
        const from = posix.join(folder, entry.name);
        return [from, posix.resolve(folder, linkOf(`${root}${from}`))];
      });
    } catch {
      return [];
    }
  });
}

/** The names (latin1) by which a process with these links and working folders may ask for the socket at `path`. */
export function namesOf(path: string, someLinks: readonly (readonly [from: string, to: string])[], folders: readonly string[]): string[] {
  if (!path.startsWith('/')) return [path];
  const absolute = [path, ...someLinks.flatMap(([from, to]) => (to !== '/' && path.startsWith(`${to}/`) ? [from + path.slice(to.length)] : []))];
  return [...absolute, ...folders.flatMap((folder) => absolute.flatMap((one) => {
    const inside = folder !== '/' && one.startsWith(`${folder}/`) ? one.slice(folder.length + 1) : undefined;
    return inside === undefined ? [] : [inside, `./${inside}`];
  }))];
}

/** Where it tells its supervisor that it is alive: without that it would be ended. */
function supervisors(tgids: readonly number[]): string[] {
  return tgids.flatMap((tgid) => {
    try {
      const name = /(?:^|\0)NOTIFY_SOCKET=([^\0]+)/.exec(readFileSync(`/proc/${tgid}/environ`, 'latin1'))?.[1];
      return name === undefined ? [] : [name.replace(/^@/, '\0')];
    } catch {
      return [];
    }
  });
}

/** Names of sockets that these processes bound: to reach oneself is nothing real. */
const own = (all: readonly Held[]): string[] => all.flatMap(({ facts }) => (facts.local !== '' && (facts.listens || facts.datagrams) ? [facts.local] : []));

/** Connections that the service opened, to others, but for its standard streams and what is let through; datagrams are none. */
function outbound(all: readonly Held[], passed: ReadonlySet<string>): Held[] {
  const standard = new Set(all.filter(({ socket }) => socket.fd <= LAST_STANDARD_FD).map(({ socket }) => socket.inode));
  return all.filter(({ socket, facts: { datagrams, listens, local, remote } }) => !datagrams && !listens && remote !== undefined && remote !== ''
    && !passed.has(remote) && !passed.has(local) && !standard.has(socket.inode));
}

const shown = (names: Iterable<string>): string => [...new Set(names)].slice(0, MAX_NAMED).map((name) => Buffer.from(name.replace(/^\0/, '@'), 'latin1').toString()).join(', ');

function asLatin1(path: string): string {
  return Buffer.from(path).toString('latin1');
}

/** Where each name leads, as of now. */
function waysOf(tgids: readonly number[], owner: Owner, { played, bypassed }: UnixPlan): Map<string, string> {
  const roots = new Set(tgids.map((tgid) => `/proc/${tgid}/root`));
  const someLinks = [...new Map([...roots].flatMap(links).map((link) => [link.join('\0'), link])).values()];
  const folders = [...new Set(tgids.map((tgid) => linkOf(`/proc/${tgid}/cwd`)))].filter((folder) => folder !== '');
  const ways = new Map<string, string>();
  const lead = (paths: readonly string[], to: (index: number) => string): void => {
    for (const [index, path] of paths.entries()) for (const name of namesOf(path, someLinks, folders)) ways.set(name, to(index));
  };
  lead(played.map(asLatin1), (index) => playedName(owner, index));
  lead([...bypassed.map(asLatin1), ...own(held(tgids)), ...supervisors(tgids)], () => '');
  return ways;
}

/** Throws EnvironmentError where it can't be done (`refusal`) though there is something to be done. Looks, changes nothing. */
export function refuseUnixSockets(tgids: readonly number[], { played, bypassed }: UnixPlan, refusal: string | undefined): void {
  if (refusal === undefined) return;
  const all = held(tgids);
  const open = outbound(all, new Set([...own(all), ...bypassed.map(asLatin1)])).map(({ facts }) => facts.remote ?? '');
  if (played.length === 0 && open.length === 0) return;
  throw new EnvironmentError(`Cannot confine the service: its unix sockets can't be redirected (${shown([...played.map(asLatin1), ...open])}): ${refusal}`,
    'let replay start the service: -- CMD; or let them through: --bypass unix:PATH');
}

/** Undefined, and said, where this kernel can't and nothing has to be done. Throws EnvironmentError; nothing is left then. */
export function confineUnixSockets(cgroup: string, owner: Owner, plan: UnixPlan, processes: () => readonly number[], note: (text: string) => void): UnixConfinement | undefined {
  let refusal = gateRefusal();
  if (refusal === undefined) {
    try {
      return new UnixConfinement(cgroup, owner, plan, processes, note);
    } catch (error) {
      if (!(error instanceof LoadError)) throw error;
      refusal = error.message;
    }
  }
  refuseUnixSockets(processes(), plan, refusal);
  note(`the unix sockets that the service may open are not confined: ${refusal}`);
  return undefined;
}

/** From its making on what processes of `cgroup` ask for is led or refused, and nothing older is connected any more. */
class UnixConfinement {
  readonly #gate: UnixGate;
  readonly #processes: () => readonly number[];
  readonly #note: (text: string) => void;

  /** `processes`: the service's, as of now. */
  constructor(cgroup: string, owner: Owner, plan: UnixPlan, processes: () => readonly number[], note: (text: string) => void) {
    this.#processes = processes;
    this.#note = note;
    const ways = waysOf(processes(), owner, plan);
    this.#gate = new UnixGate(cgroup, ways);
    try {
      this.#cut(new Set([...ways].filter(([, to]) => to === '').map(([name]) => name)));
    } catch (error) {
      this.#gate.close();
      throw error;
    }
  }

  #cut(passed: ReadonlySet<string>): void {
    const done = new Set<string>();
    let all: Held[] = [];
    for (let look = 0; look < LOOKS; look += 1) {
      all = held(this.#processes());
      const open = outbound(all, passed).filter(({ socket }) => !done.has(socket.inode));
      if (open.length === 0) break;
      for (const { socket, facts } of open) {
        done.add(socket.inode);
        if (shutDown(socket) || unixFacts(socket) === undefined) continue;
        throw new EnvironmentError(`Cannot confine the service: its connection to ${shown([facts.remote ?? ''])} can't be ended (pidfd_getfd of process ${socket.tgid})`,
          'this needs Linux 5.6 and CAP_SYS_PTRACE');
      }
    }
    const left = all.filter(({ socket, facts: { datagrams, listens, local, remote } }) => !done.has(socket.inode) && !listens && !passed.has(remote ?? '')
      && (datagrams ? remote === undefined ? local === '' : remote !== '' : socket.fd <= LAST_STANDARD_FD && remote !== undefined && remote !== ''));
    const count = new Set(left.map(({ socket }) => socket.inode)).size;
    if (count === 0) return;
    this.#note(`${count} of the service's unix ${count === 1 ? 'socket goes' : 'sockets go'} on as ${count === 1 ? 'it was' : 'they were'} `
      + `(datagrams and standard streams, which can't be opened anew: ${shown(left.map(({ facts }) => facts.remote ?? 'not connected'))})`);
  }

  /** Everything leads where it did; connections to us are ended, so that its pools open real ones. Synchronous. May be called twice. */
  close(): void {
    const refused = this.#gate.isOpen ? this.#gate.refused : [];
    if (refused.length > 0) this.#note(`the service asked for unix sockets that no session calls, in vain: ${shown(refused)}${refused.length > MAX_NAMED ? ` and ${refused.length - MAX_NAMED} more` : ''}`);
    this.#gate.close();
    for (const { socket, facts } of held(this.#processes())) if (facts.remote?.startsWith(OURS) === true) shutDown(socket);
  }
}
