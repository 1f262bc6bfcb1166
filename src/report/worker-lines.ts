/** Who worked on a session, where that was more than one thread or goroutine: each with how it came to, and what it did. */
import type { Chunk, Session } from '../sessions/session.ts';
import type { Paint } from './paint.ts';
import { counted } from './text.ts';

interface Worker {
  readonly name: string;
  readonly tids: Set<number>;
  /** By what evidence it is known to have worked for this session; undefined: it read the request, or answered it. */
  how: string | undefined;
  reads: boolean;
  answers: boolean;
  calls: number;
  answersRead: number;
  datagrams: number;
  writes: number;
}

/** Bytes whose thread is known. */
type Act = Extract<Chunk, { bytes: Uint8Array }>;

class Workers {
  readonly #workers = new Map<string, Worker>();

  of({ tid, goroutine }: Act, how: string | undefined): Worker {
    const name = goroutine === undefined ? `tid ${tid}` : `goroutine ${goroutine}`;
    let worker = this.#workers.get(name);
    if (worker === undefined) {
      worker = { name, tids: new Set(), how, reads: false, answers: false, calls: 0, answersRead: 0, datagrams: 0, writes: 0 };
      this.#workers.set(name, worker);
    }
    worker.tids.add(tid);
    return worker;
  }

  get all(): readonly Worker[] {
    return [...this.#workers.values()];
  }
}

const actsIn = (chunks: readonly Chunk[]): Act[] => chunks.filter((chunk): chunk is Act => 'bytes' in chunk && chunk.tid !== 0);

export function* workerLines(session: Session, paint: Paint): Generator<string> {
  const workers = workersOf(session);
  if (workers.length < 2) return;
  const rows = workers.map((worker) => [nameOf(worker), worker.how === undefined ? '' : `by ${worker.how}`, didOf(worker)] as const);
  const [first, second] = [0, 1].map((column) => Math.max(...rows.map((row) => (row[column as 0 | 1]).length)));
  yield '';
  yield paint.dim('  worked on by');
  for (const [name, how, did] of rows) yield paint.dim(`    ${name.padEnd(first ?? 0)}  ${how.padEnd(second ?? 0)}  ${did}`);
}

function workersOf(session: Session): readonly Worker[] {
  const workers = new Workers();
  for (const act of actsIn(session.inbound.request)) workers.of(act, undefined).reads = true;
  for (const { request, response, attribution } of session.outbound) {
    for (const act of actsIn(request).slice(0, 1)) workers.of(act, attribution).calls += 1;
    for (const act of actsIn(response).slice(0, 1)) workers.of(act, attribution).answersRead += 1;
  }
  for (const datagram of session.datagrams ?? []) workers.of(datagram, datagram.attribution).datagrams += 1;
  for (const { writes } of session.appends ?? []) for (const write of writes) workers.of(write, write.attribution).writes += 1;
  for (const act of actsIn(session.inbound.response)) workers.of(act, undefined).answers = true;
  return workers.all;
}

function nameOf({ name, tids }: Worker): string {
  return name.startsWith('tid') ? name : `${name} (tid ${[...tids].join(', ')})`;
}

function didOf(worker: Worker): string {
  return [
    ...(worker.reads ? ['read the request'] : []),
    ...(worker.calls > 0 ? [`made ${counted(worker.calls, 'call')}`] : []),
    ...(worker.answersRead > 0 && worker.answersRead !== worker.calls ? [`read ${counted(worker.answersRead, 'answer')}`] : []),
    ...(worker.datagrams > 0 ? [`sent ${counted(worker.datagrams, 'datagram')}`] : []),
    ...(worker.writes > 0 ? [`appended ${counted(worker.writes, 'time')}`] : []),
    ...(worker.answers ? ['answered'] : []),
  ].join(', ');
}
