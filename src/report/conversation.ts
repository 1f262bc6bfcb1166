/** A session as a conversation: who said what to whom, when, and how it was tied. Plain lines, fit for a pager. */
import { isGrpc } from '../protocols/http2.ts';
import { protocolNamed } from '../protocols/index.ts';
import type { Chunk, OutboundTalk, Prologue, Session, Talk, TalkEnd } from '../sessions/session.ts';
import { acts } from './acts.ts';
import { lostWords, unseenWords } from './certificate-words.ts';
import { chunkLines, whenText } from './chunk-lines.ts';
import { http2Lines } from './http2-lines.ts';
import type { Paint } from './paint.ts';
import { counted, duration, localTime, oneLine, size } from './text.ts';
import { workerLines } from './worker-lines.ts';

export type { Paint } from './paint.ts';

/** Neighbouring chunks of one side within this time are shown as one. */
const JOIN_US = 50_000;

export function* conversation(session: Session, paint: Paint): Generator<string> {
  const { inbound, certificate, process } = session;
  const me = `${oneLine(process.command)}[${process.tgid}]`;
  yield paint.bold(`session ${session.id}`);
  yield `  ${me}, begun ${localTime(session.startedAtUs)}, took ${duration(session.durationMs)}`;
  yield `  from ${inbound.connection.remote} to ${inbound.connection.local}, ${inbound.connection.protocol}, connection ${inbound.connection.id}`;
  yield* certificateLines(session, paint);
  for (const [name, addresses] of Object.entries(session.names)) yield paint.dim(`  ${oneLine(name)} was ${addresses.join(', ')}`);
  for (const [key, value] of Object.entries(session.traceHeader ?? {})) yield paint.dim(`  trace header ${oneLine(key)}: ${oneLine(value)}`);
  yield* workerLines(session, paint);
  for (const prologue of session.prologues) yield* prologueLines(prologue, session, me, paint);

  // The caller's turn, then what it caused, each in its own block by the time it began, then the answer.
  const turns: { atUs: number; lines: Iterable<string>; answer?: true }[] = [
    { atUs: session.startedAtUs, lines: side(inbound, 'request', 'client', me, session, paint) },
    ...session.outbound.map((talk) => ({ atUs: talk.request[0]?.atUs ?? talk.response[0]?.atUs ?? 0, lines: call(talk, session, me, paint) })),
  ];
  turns.push(...acts(session, paint));
  if (inbound.response.length > 0) {
    turns.push({ atUs: inbound.response[0]?.atUs ?? 0, lines: side(inbound, 'response', me, 'client', session, paint), answer: true });
  }
  turns.sort((left, right) => left.atUs - right.atUs);
  for (const [at, turn] of turns.entries()) {
    // A call's block begins with a line of air; so does what comes after one.
    if (turn.answer && at > 1) yield '';
    yield* turn.lines;
  }
  if (inbound.end !== undefined) yield* ['', `  ${endText(inbound.end, inbound)}`];
  if (certificate.state === 'open') yield* ['', paint.yellow('  the recording ends here; the session did not')];
}

function* certificateLines(session: Session, paint: Paint): Generator<string> {
  const { certificate, ties } = session;
  const tied = [...(ties.proven > 0 ? [`${ties.proven} proven`] : []), ...(ties.likely > 0 ? [`${ties.likely} likely`] : [])];
  const calls = `${counted(session.outbound.length, 'call')}${tied.length > 0 ? ` (${tied.join(', ')})` : ''}`;
  yield `  ${calls}; ${certificate.state === 'complete' ? paint.green('complete: every byte is here') : paint.yellow(certificate.state)}`;
  for (const lost of certificate.lost) {
    yield paint.yellow(`  ! ${lostWords(lost)}`);
  }
  for (const unseen of certificate.unseen) {
    yield paint.yellow(`  ! ${unseenWords(unseen)}`);
  }
}

function* prologueLines(prologue: Prologue, session: Session, me: string, paint: Paint): Generator<string> {
  if (prologue.connection === session.inbound.connection.id || prologue.chunks.length === 0) return;
  const used = session.outbound.some((talk) => talk.connection.id === prologue.connection);
  yield '';
  yield paint.dim(used ? `  before: connection ${prologue.connection} to ${prologue.destination} was set up with`
    : `  connection ${prologue.connection} to ${prologue.destination} was opened, and no call of this session was made on it`);
  for (const chunk of prologue.chunks) {
    const [from, to] = chunk.direction === 'egress' ? [me, prologue.destination] : [prologue.destination, me];
    yield paint.dim(`    ${from} -> ${to}`);
    for (const line of chunkLines(chunk)) yield paint.dim(`      ${line}`);
  }
}

function* call(talk: OutboundTalk, session: Session, me: string, paint: Paint): Generator<string> {
  const { connection } = talk;
  const { text, status } = summary(talk);
  const marks = [`${talk.certainty} by ${talk.attribution}`, ...(talk.afterResponse === true ? ['after the response'] : [])];
  if (talk.alternatives !== undefined && talk.alternatives.length > 0) marks.push(`or of ${talk.alternatives.join(', ')}`);
  yield '';
  yield `  ${paint.bold(`call ${connection.remote}`)}  ${oneLine(text)}${status === undefined ? '' : `  ${oneLine(status)}`}  ${paint.dim(`[${marks.join('; ')}; ${connection.protocol}, connection ${connection.id}]`)}`;
  for (const line of side(talk, 'request', me, connection.remote, session, paint)) yield `  ${line}`;
  for (const line of side(talk, 'response', connection.remote, me, session, paint)) yield `  ${line}`;
  if (talk.end !== undefined) yield `    ${endText(talk.end, talk)}`;
}

function* side(talk: Talk, which: 'request' | 'response', from: string, to: string, session: Session, paint: Paint): Generator<string> {
  const asks = which === 'request';
  const chunks = talk[which];
  const arrow = asks ? paint.cyan : paint.green;
  const turn = (chunk: Chunk): string => `  ${arrow(`${from} -> ${to}`)}  ${paint.dim(whenText(chunk, session))}`;
  const [first] = chunks;
  if (talk.fields !== undefined && first !== undefined) {
    if (asks && from === 'client') yield '';
    yield turn(first);
    for (const line of http2Lines(talk.fields[which], talk.fields.unknown, isGrpc(talk.fields), wholeBytes(chunks))) yield `    ${line}`;
    for (const chunk of chunks) if ('gap' in chunk) yield `    ${paint.red(`[${size(chunk.gap)} missing: ${chunk.cause}]`)}`;
    return;
  }
  let lastUs = -Infinity;
  let lastTid = -1;
  for (const part of joined(chunks)) {
    if (part.atUs - lastUs > JOIN_US || part.tid !== lastTid) {
      if (lastTid === -1 && asks && from === 'client') yield '';
      yield turn(part);
    }
    lastUs = part.atUs;
    lastTid = part.tid;
    for (const line of chunkLines(part)) yield `    ${'gap' in part ? paint.red(line) : line}`;
  }
}

/** Bytes that several system calls of one thread moved right after each other read as one. */
function joined(chunks: readonly Chunk[]): Chunk[] {
  const parts: Chunk[] = [];
  for (const chunk of chunks) {
    const last = parts.at(-1);
    if (last !== undefined && 'bytes' in last && 'bytes' in chunk && last.tid === chunk.tid && chunk.atUs - last.atUs <= JOIN_US) {
      parts[parts.length - 1] = { ...last, bytes: Buffer.concat([last.bytes, chunk.bytes]) };
    } else {
      parts.push(chunk);
    }
  }
  return parts;
}

/** Up to what is missing. */
function wholeBytes(chunks: readonly Chunk[]): Uint8Array {
  const hole = chunks.findIndex((chunk) => 'gap' in chunk);
  return bytesOf(hole < 0 ? chunks : chunks.slice(0, hole));
}

const bytesOf = (chunks: readonly Chunk[]): Uint8Array => Buffer.concat(chunks.flatMap((chunk) => ('bytes' in chunk ? [chunk.bytes] : [])));

function summary(talk: Talk): { text: string; status?: string } {
  return protocolNamed(talk.connection.protocol).summarise(bytesOf(talk.request), bytesOf(talk.response), talk.fields);
}

function endText(end: TalkEnd, talk: Talk): string {
  const who = end.by === 'local' ? 'the process' : talk.connection.remote;
  const how = { fin: 'closed it', reset: 'reset it', refused: 'refused it', timeout: 'did not answer in time', unreachable: 'could not be reached', failed: 'failed', exit: 'exited' }[end.kind];
  return `${who} ${how}${end.errno === undefined ? '' : ` (errno ${end.errno})`}`;
}
