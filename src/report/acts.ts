/** What a session's threads did besides calling: what they said of themselves, sent by UDP, and appended to files. */
import type { Datagram, Session, Told, Write } from '../sessions/session.ts';
import { chunkLines, whenText } from './chunk-lines.ts';
import type { Paint } from './paint.ts';
import { oneLine, size } from './text.ts';

export interface Turn {
  /** Unix µs. */
  readonly atUs: number;
  readonly lines: Iterable<string>;
}

/** In no order. */
export function acts(session: Session, paint: Paint): Turn[] {
  return [
    ...(session.told ?? []).map((told) => ({ atUs: told.atUs, lines: toldLines(told, session, paint) })),
    ...(session.datagrams ?? []).map((sent) => ({ atUs: sent.atUs, lines: datagramLines(sent, session, paint) })),
    ...(session.appends ?? []).flatMap(({ file, writes }) => writes.map((write) => ({ atUs: write.atUs, lines: appendLines(file, write, session, paint) }))),
  ];
}

/** What the service said of itself, by a helper datagram. */
function* toldLines(told: Told, session: Session, paint: Paint): Generator<string> {
  yield '';
  yield `  ${paint.bold(told.command)}  ${paint.dim(whenText(told, session))}`;
  for (const line of chunkLines(told)) yield `    ${line}`;
}

function datagramLines(datagram: Datagram, session: Session, paint: Paint): Generator<string> {
  return actLines(`datagram ${datagram.to}`, datagram, session, paint);
}

function appendLines(file: string, write: Write, session: Session, paint: Paint): Generator<string> {
  return actLines(`append ${file === '' ? '(a file whose path was lost)' : oneLine(file)}`, write, session, paint);
}

function* actLines(what: string, act: Write, session: Session, paint: Paint): Generator<string> {
  const { length, bytes, attribution, certainty, afterResponse } = act;
  const marks = [`${certainty} by ${attribution}`, ...(afterResponse === true ? ['after the response'] : [])];
  yield '';
  yield `  ${paint.bold(what)}  ${paint.dim(`${whenText(act, session)} [${marks.join('; ')}]`)}`;
  for (const line of chunkLines(act)) yield `    ${line}`;
  if (length !== undefined) yield paint.dim(`    [the first ${size(bytes.length)} of ${size(length)}]`);
}
