/** An explanation for people: plain lines, fit for a pager. */
import { isNodeName } from '../instrument/node-name.ts';
import type { Reason } from './certificate-words.ts';
import type { Paint } from './conversation.ts';
import type { CallExplained, Explanation, Named, UntiedExplained } from './explanation.ts';
import { counted, duration, localTime, oneLine } from './text.ts';

/** As the kernel calls Node from 24 on. */
const MAIN_THREAD = /^(?:node-)?MainThread$/;

/** Calls without a tie beyond this many are counted, not listed. */
const MAX_UNTIED = 50;

export function* explanationLines(explanation: Explanation, startedAtUs: number, paint: Paint): Generator<string> {
  const { id, process, durationMs, inbound: { connection }, calls, untied, certificate } = explanation;
  yield paint.bold(`session ${id}`) + `  ${headline(explanation)}`;
  yield `  ${oneLine(process.command)}[${process.tgid}], begun ${localTime(startedAtUs)}, took ${duration(durationMs)}`;
  yield `  from ${connection.remote} to ${connection.local}, ${connection.protocol}, connection ${connection.id}`;
  for (const call of calls) yield* callLines(call, paint);
  if (calls.length === 0) yield* ['', '  no call is tied to it'];

  if (untied.length > 0) {
    yield* ['', paint.bold(`  ${counted(untied.length, 'call')} of its process ${untied.length === 1 ? 'is' : 'are'} tied to no session, and may be its own`)];
    for (const call of untied.slice(0, MAX_UNTIED)) yield* untiedLines(call, id, paint);
    if (untied.length > MAX_UNTIED) yield* ['', `  and ${untied.length - MAX_UNTIED} more; --json lists them all`];
    if (wouldTell(explanation)) yield* ['', `  to know whose they are, record Node so that it tells: ${paint.bold('attach --read-memory node')} (nothing in it is touched, however long that takes), or ${paint.bold('--instrument node')}`];
  }

  const { state, reasons } = certificate;
  yield* ['', `  ${state === 'complete' ? paint.green('complete') : paint.yellow(state)}, because`];
  for (const { words } of reasons) yield `    ${oneLine(words)}`;
}

/** Node was neither asked nor read. */
const wouldTell = ({ process, calls }: Explanation): boolean => (isNodeName(process.command) || MAIN_THREAD.test(process.command)) && calls.every(({ attribution }) => attribution !== 'runtime');

function* callLines(call: CallExplained, paint: Paint): Generator<string> {
  const { attribution, certainty, alternatives } = call;
  yield* ['', placeLine('call', call, paint)];
  const tied = `tied by ${attribution}, ${certainty}`;
  yield `    ${certainty === 'proven' ? paint.green(tied) : paint.yellow(tied)}${call.afterResponse === true ? ', after the response' : ''}`;
  yield* reasonLines('for', call.for);
  yield* reasonLines('against', call.against);
  yield* namedLines('or of', alternatives);
}

function* untiedLines(call: UntiedExplained, id: string, paint: Paint): Generator<string> {
  yield* ['', placeLine('untied', call, paint)];
  if (call.afterResponse === true) yield '    after the response: whether the session is complete does not depend on it';
  yield* reasonLines('why', call.whyNot.length > 0 ? call.whyNot : [{ kind: 'unknown', words: 'nothing more is known of it' }]);
  yield* namedLines('or of', call.candidates.filter((one) => one.id !== id));
}

function placeLine(what: string, call: CallExplained | UntiedExplained, paint: Paint): string {
  const { connection, atUs } = call;
  return `  ${paint.bold(`${what} ${connection.remote}`)}  ${headline(call)}  ${paint.dim(`[+${(atUs / 1000).toFixed(3)} ms; ${connection.protocol}, connection ${connection.id}]`)}`;
}

const headline = ({ summary, status }: { readonly summary: string; readonly status?: string }): string =>
  `${oneLine(summary)}${status === undefined ? '' : `  ${oneLine(status)}`}`;

function* reasonLines(label: string, reasons: readonly Reason[]): Generator<string> {
  for (const { words } of reasons) yield `    ${label.padEnd(8)} ${oneLine(words)}`;
}

function* namedLines(label: string, sessions: readonly Named[]): Generator<string> {
  for (const { id, summary } of sessions) yield `    ${label.padEnd(8)} ${id}${summary === undefined ? '' : `  ${oneLine(summary)}`}`;
}
