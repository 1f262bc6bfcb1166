/** Compares what was recorded with what the two ends wrote down. */
import type { BookHalf, BookLine } from './mover.ts';
import type { Account, AccountHalf } from './recorder.ts';
import { streamHash } from './stream.ts';

/** What one stream really was. */
export interface StreamTruth {
  /** Handed over or consumed by the service, from the connection's first byte. */
  readonly bytes: number;
  /** Of its content. */
  readonly seed: number;
  /** Position from which the recorder must know it; undefined: any that fits. */
  readonly from: number | undefined;
  /** Causes for which a gap is a right answer here. */
  readonly mayMiss: readonly string[];
  /** Exactly so many bytes must be declared missing; undefined: as many as are. */
  readonly missing: number | undefined;
  /** So many bytes came before the account's position 0. */
  readonly hidden?: number;
}

/** Problems of one recorded stream; empty: every byte is there or rightly declared missing. */
export function streamProblems(name: string, account: AccountHalf, truth: StreamTruth): string[] {
  const problems: string[] = [];
  const { hidden = 0 } = truth;
  const moved = truth.bytes - hidden;
  const say = (text: string): void => void problems.push(`${name}: ${text}`);
  const gaps = [...account.gaps].sort((a, b) => a.from - b.from);
  const missing = gaps.reduce((sum, gap) => sum + gap.bytes, 0);
  if (truth.from !== undefined && account.from !== truth.from) say(`known from ${account.from}, should be ${truth.from}`);
  if (account.from + account.bytes + missing !== moved) {
    say(`from ${account.from} + recorded ${account.bytes} + declared missing ${missing} is not ${moved}`);
  }
  for (const gap of gaps) {
    if (!truth.mayMiss.includes(gap.cause)) say(`${gap.bytes} bytes missing at ${gap.from}: ${gap.cause}`);
  }
  if (truth.missing !== undefined && missing !== truth.missing) say(`declared missing ${missing}, should be ${truth.missing}`);
  if (problems.length === 0 && account.sha256 !== streamHash(truth.seed, hidden + account.from, truth.bytes, gaps.map((gap) => ({ from: hidden + gap.from, bytes: gap.bytes })))) {
    say(`${account.bytes} bytes have another SHA-256 than what was sent`);
  }
  return problems;
}

/** Problems of the books themselves: where both ends saw the whole stream they must agree. */
export function bookProblems(service: BookLine, client: BookLine): string[] {
  const problems: string[] = [];
  const pair = (name: string, sender: BookLine, out: BookHalf, into: BookHalf): void => {
    const content = streamHash(sender.seed, 0, out.bytes);
    if (out.sha256 !== content) problems.push(`${name}: what was sent is not the stream of seed ${sender.seed}`);
    if (into.bytes > out.bytes) problems.push(`${name}: ${into.bytes} bytes arrived of ${out.bytes}`);
    if (into.discarded === 0 && into.sha256 !== streamHash(sender.seed, 0, into.bytes)) {
      problems.push(`${name}: what arrived is not what was sent`);
    }
  };
  pair('client to service', client, client.egress, service.ingress);
  pair('service to client', service, service.egress, client.ingress);
  return problems;
}

/** "IP:PORT" of an IPv4 address, however it is mapped. */
const plain = (text: string): string => text.replace(/^\[::ffff:([\d.]+)\]/, '$1');

/**
 * Finds accounts by the ends of the connection. A pair of ports may come again when an earlier connection is over: each
 * account is handed out once, the oldest first.
 */
export class Accounts {
  readonly #byEnds = new Map<string, Account[]>();
  readonly #all: readonly Account[];

  constructor(all: readonly Account[]) {
    this.#all = [...all].sort((a, b) => a.openedAt.localeCompare(b.openedAt));
    for (const account of this.#all) {
      const key = `${plain(account.local)} ${plain(account.remote)}`;
      const same = this.#byEnds.get(key);
      if (same === undefined) this.#byEnds.set(key, [account]);
      else same.push(account);
    }
  }

  /**
   * The account of what the service wrote down, or what is wrong. `times`: how often these ends are in its book. `failed`:
   * a connection that did not come about has no certain local end.
   */
  take(line: BookLine, times: number, failed = false): Account | string {
    const found = line.local.startsWith('unix:') || line.remote.startsWith('unix:')
      ? this.#all.filter((account) => account.tgid === line.tgid && (isNamed(account.local, line) || isNamed(account.remote, line)))
      : failed ? this.#all.filter((account) => account.tgid === line.tgid && plain(account.remote) === line.remote)
      : this.#byEnds.get(`${line.local} ${line.remote}`) ?? [];
    if (found.length > times) return `${found.length} accounts of ${line.local} ← ${line.remote}`;
    return found.shift() ?? `no account of ${line.local} ← ${line.remote}`;
  }

  /** Accounts of these processes. Their pipes to the test are unix sockets without a name and don't count. */
  of(tgids: ReadonlySet<number>): Account[] {
    const nameless = (end: string): boolean => end === '' || end === 'unix:' || end.startsWith('unix:?');
    return this.#all.filter((account) => tgids.has(account.tgid) && !(nameless(account.local) && nameless(account.remote)));
  }
}

function isNamed(end: string, line: BookLine): boolean {
  return end.length > 'unix:'.length && (end === line.local || end === line.remote);
}
