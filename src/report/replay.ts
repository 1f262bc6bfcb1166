/** A replay for a person: a line a session, what differs beneath it, a summary. Recorded bytes never reach the terminal raw. */
import type { Difference, Replayed, ReplayedCall, ReplaySummary } from '../replay/replayed.ts';

export interface Style {
  readonly colour: boolean;
}

const CODES = { green: 32, red: 31, yellow: 33, dim: 2, bold: 1 } as const;
const MARKS = { same: '✓', different: '✗', skipped: '–', error: '!' } as const;
const COLOURS = { same: 'green', different: 'red', skipped: 'yellow', error: 'red' } as const;
const MAX_VALUE_CHARS = 160;
const MAX_DIFFERENCES = 20;

function paint(text: string, colour: keyof typeof CODES, { colour: on }: Style): string {
  return on ? `\u001b[${CODES[colour]}m${text}\u001b[0m` : text;
}

/** One line without control characters, of bounded length. */
export function printable(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : JSON.stringify(value, (_, one: unknown) => (typeof one === 'bigint' ? String(one) : one));
  // eslint-disable-next-line no-control-regex
  const safe = (text ?? 'undefined').replace(/[\u0000-\u001f\u007f-\u009f]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return safe.length > MAX_VALUE_CHARS ? `${safe.slice(0, MAX_VALUE_CHARS - 1)}…` : safe;
}

function plain(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '·');
}

function difference({ path, recorded, live, kind }: Difference, style: Style): string[] {
  const lines = [`    ${plain(path)}  ${paint(kind, 'dim', style)}`];
  if (recorded !== undefined) lines.push(paint(`      - ${printable(recorded)}`, 'red', style));
  if (live !== undefined) lines.push(paint(`      + ${printable(live)}`, 'green', style));
  return lines;
}

const CALL_WORDS: Readonly<Record<ReplayedCall['verdict'], string>> = {
  same: 'same', different: 'changed', missing: 'not made', new: 'new, not recorded', reordered: 'out of order', state: 'state', cached: 'cached',
};

function call(one: ReplayedCall, style: Style): string[] {
  const likeness = one.score === undefined ? '' : `  ${(one.score * 100).toFixed(0)}% alike`;
  const head = `    ${paint('call', 'bold', style)} ${plain(one.summary)}  to ${plain(one.destination)}: ${CALL_WORDS[one.verdict]}${paint(likeness, 'dim', style)}`;
  return [head, ...one.differences.flatMap((each) => difference(each, style).map((line) => `  ${line}`))];
}

/** The lines of one session, the first being its verdict. */
export function sessionLines(replayed: Replayed, style: Style): string[] {
  const { verdict, session, summary, durationMs, reason, response, calls } = replayed;
  const word = paint(`${MARKS[verdict]} ${verdict.padEnd(9)}`, COLOURS[verdict], style);
  const took = verdict === 'skipped' ? ''.padStart(11) : `${durationMs.toFixed(1).padStart(8)} ms`;
  const made = calls.length === 0 ? '' : `  ${calls.length} ${calls.length === 1 ? 'call' : 'calls'}`;
  const head = `${word} ${plain(session)} ${took}  ${plain(summary)}${paint(made, 'dim', style)}${reason === undefined ? '' : `  (${plain(reason)})`}`;
  const lines = [
    ...response.differences.flatMap((one) => difference(one, style)),
    ...calls.filter((one) => one.verdict !== 'same').flatMap((one) => call(one, style)),
  ];
  const shown = lines.slice(0, MAX_DIFFERENCES * 3);
  const more = lines.length - shown.length;
  return [head, ...shown, ...(more > 0 ? [`    … and ${more} lines more (--json has them all)`] : [])];
}

/** The last lines: what the run says as a whole. */
export function summaryLines(summary: ReplaySummary, replayed: { readonly ignored: number }, style: Style): string[] {
  const { sessions, same, different, skipped, errors, wallMs } = summary;
  const parts = [
    paint(`${same} same`, same > 0 ? 'green' : 'dim', style), paint(`${different} different`, different > 0 ? 'red' : 'dim', style),
    ...(errors > 0 ? [paint(`${errors} could not be played`, 'red', style)] : []),
    ...(skipped > 0 ? [paint(`${skipped} skipped`, 'yellow', style)] : []),
  ];
  const ignored = replayed.ignored > 0 ? `; ${replayed.ignored} volatile values left out (dates and the like)` : '';
  return ['', `${sessions} ${sessions === 1 ? 'session' : 'sessions'}: ${parts.join(', ')}, in ${(wallMs / 1000).toFixed(1)} s${ignored}`];
}
