/**
 * A service under load whose every session is known beforehand: on each connection, round after round, a request of
 * REQUEST bytes and an answer of ANSWER bytes. For the tests in which the recorder suffers.
 */
import { join } from 'node:path';
import { readBook, startMover, type BookLine, type Mover } from './mover.ts';
import { jsonLines, patience, within, type Account } from './recorder.ts';
import { streamBytes, streamHash } from './stream.ts';
import { Accounts, streamProblems } from './verdict.ts';

export const REQUEST = 2048;
export const ANSWER = 16_384;

export interface Load {
  readonly service: Mover;
  /** Starts the client; resolves with what went wrong for it or the service: the service must not notice the recorder. */
  run(): Promise<string[]>;
  /** The service's and the client's line of each connection. */
  pairs(): [BookLine, BookLine][];
  end(): void;
}

export async function startLoad(folder: string, connections: number, rounds: number, parallel: number): Promise<Load> {
  const book = (side: string): string => join(folder, `book.${side}`);
  const base = { folder, connections, deadline: 600 * patience };
  const service = await startMover('listen', 'v4', {
    ...base, book: book('service'), linger: true, plan: `repeat=${rounds},recv=read:${REQUEST},send=write:${ANSWER}`,
  });
  let client: Mover | undefined;
  return {
    service,
    async run() {
      client = await startMover('connect', `v4:${service.port}`, {
        ...base, book: book('client'), parallel, seed: 70_000, plan: `repeat=${rounds},send=write:${REQUEST},recv=read:${ANSWER}`,
      });
      const code = await within(client.ended, 300_000 * patience, 'the client did not end');
      await service.lines.find((line) => 'done' in line, 60_000 * patience);
      const lines = [...readBook(book('service')), ...readBook(book('client'))];
      const failed = lines.flatMap((line) => [line.ingress.failed, line.egress.failed]).filter((text) => text !== '');
      const short = readBook(book('client')).filter((line) => line.ingress.bytes !== rounds * ANSWER);
      return [
        ...(code === 0 ? [] : [`the client ended with ${code}`]),
        ...failed,
        ...(lines.length === 2 * connections ? [] : [`${lines.length} lines in the books of ${connections} connections`]),
        ...short.map((line) => `${line.local} was answered ${line.ingress.bytes} bytes of ${rounds * ANSWER}`),
      ];
    },
    pairs() {
      const clients = new Map(readBook(book('client')).map((line) => [`${line.remote} ${line.local}`, line]));
      return readBook(book('service')).flatMap((line): [BookLine, BookLine][] => {
        const other = clients.get(`${line.local} ${line.remote}`);
        return other === undefined ? [] : [[line, other]];
      });
    },
    end() {
      service.kill();
      client?.kill();
    },
  };
}

/** Problems of all connections: recorded + declared missing = moved, and the recorded bytes are the right ones. */
export function lossProblems(accounts: readonly Account[], load: Load, mayMiss: readonly string[]): string[] {
  const table = new Accounts(accounts);
  return load.pairs().flatMap(([service, client]) => {
    const account = table.take(service, 1);
    if (typeof account === 'string') return [account];
    const truth = { from: 0, mayMiss, missing: undefined };
    return [
      ...streamProblems(`${account.id} ingress`, account.ingress, { ...truth, bytes: service.ingress.bytes, seed: client.seed }),
      ...streamProblems(`${account.id} egress`, account.egress, { ...truth, bytes: service.egress.bytes, seed: service.seed }),
    ];
  });
}

/** Problems of a recording that was cut off: what is there must be the beginning of what was moved, and nothing else. */
export function prefixProblems(accounts: readonly Account[], load: Load): string[] {
  const byEnds = new Map(load.pairs().map((pair) => [`${pair[0].local} ${pair[0].remote}`, pair]));
  return accounts.flatMap((account) => {
    const pair = byEnds.get(`${account.local} ${account.remote}`);
    if (pair === undefined) return account.local.startsWith('unix:') ? [] : [`nobody made ${account.local} ← ${account.remote}`];
    const [service, client] = pair;
    const check = (name: string, half: Account['ingress'], seed: number, moved: number): string[] => {
      const end = half.from + half.bytes + half.gaps.reduce((sum, gap) => sum + gap.bytes, 0);
      if (end > moved) return [`${account.id} ${name}: ${end} bytes accounted for of ${moved}`];
      return half.sha256 === streamHash(seed, half.from, end, half.gaps) ? [] : [`${account.id} ${name}: ${half.bytes} bytes are not what was moved`];
    };
    return [...check('ingress', account.ingress, client.seed, service.ingress.bytes), ...check('egress', account.egress, service.seed, service.egress.bytes)];
  });
}

interface SessionLine {
  readonly id: string;
  readonly certificate: { readonly state: string };
  readonly inbound: {
    readonly connection: { readonly local: string; readonly remote: string };
    readonly request: readonly ChunkLine[];
    readonly response: readonly ChunkLine[];
  };
}

type ChunkLine = { readonly text: string } | { readonly base64: string } | { readonly gap: number };

/** Sessions that are called complete and are not: each must be exactly one round, whole. Also counts them by state. */
export async function certificateProblems(dir: string, load: Load): Promise<{ problems: string[]; states: Record<string, number> }> {
  const sessions = (await jsonLines(['export', dir, '--format', 'json'])) as unknown as SessionLine[];
  const byEnds = new Map(load.pairs().map((pair) => [`${pair[0].local} ${pair[0].remote}`, pair]));
  const states: Record<string, number> = {};
  const problems: string[] = [];
  for (const { id, certificate, inbound } of sessions) {
    states[certificate.state] = (states[certificate.state] ?? 0) + 1;
    const pair = byEnds.get(`${inbound.connection.local} ${inbound.connection.remote}`);
    if (certificate.state !== 'complete' || pair === undefined) continue;
    const [service, client] = pair;
    if (!isRound(inbound.request, client.seed, REQUEST, client.egress.bytes)) problems.push(`session ${id} is called complete, its request is not`);
    if (!isRound(inbound.response, service.seed, ANSWER, service.egress.bytes)) problems.push(`session ${id} is called complete, its response is not`);
  }
  return { problems, states };
}

function isRound(chunks: readonly ChunkLine[], seed: number, size: number, total: number): boolean {
  if (chunks.some((chunk) => 'gap' in chunk)) return false;
  const bytes = Buffer.concat(chunks.map((chunk) => ('text' in chunk ? Buffer.from(chunk.text) : Buffer.from('base64' in chunk ? chunk.base64 : '', 'base64'))));
  if (bytes.length !== size) return false;
  for (let at = 0; at < total; at += size) if (streamBytes(seed, at, at + 8).equals(bytes.subarray(0, 8))) return streamBytes(seed, at, at + size).equals(bytes);
  return false;
}
