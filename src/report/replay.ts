/** A replay for a person: a line a session, what differs beneath it, a summary. Recorded bytes never reach the terminal raw. */
import type pc from 'picocolors';
import type { Difference, Replayed, ReplayedCall, ReplaySummary } from '../replay/replayed.ts';
import { clip, counted, duration, oneLine } from './text.ts';

export type Colours = ReturnType<typeof pc.createColors>;

const MARKS = { same: '✓', different: '✗', skipped: '–', error: '!' } as const;
const COLOURS = { same: 'green', different: 'red', skipped: 'yellow', error: 'red' } as const;
const MAX_VALUE_CHARS = 160;
const MAX_LINES = 60;

/** A recorded or live value on one line of bounded length, safe to print. */
export function printable(value: unknown): string {
  const text = JSON.stringify(value, (_, one: unknown) => (typeof one === 'bigint' ? String(one) : one)) as string | undefined;
  return clip(oneLine(text ?? 'undefined'), MAX_VALUE_CHARS);
}

function difference({ path, recorded, live, kind }: Difference, colours: Colours): string[] {
  return [
    `    ${oneLine(path)}  ${colours.dim(kind)}`,
    ...(recorded === undefined ? [] : [colours.red(`      - ${printable(recorded)}`)]),
    ...(live === undefined ? [] : [colours.green(`      + ${printable(live)}`)]),
  ];
}

function unlisted(more: number | undefined): string[] {
  return more === undefined ? [] : [`    … and ${counted(more, 'more difference')}`];
}

const CALL_WORDS: Readonly<Record<ReplayedCall['verdict'], string>> = {
  same: 'same', different: 'changed', missing: 'not made', new: 'new, not recorded', reordered: 'out of order', state: 'state', cached: 'cached',
};

function call(one: ReplayedCall, colours: Colours): string[] {
  const likeness = one.score === undefined ? '' : colours.dim(`  ${(one.score * 100).toFixed(0)}% alike`);
  return [
    `    ${colours.bold('call')} ${oneLine(one.summary)} to ${oneLine(one.destination)}: ${CALL_WORDS[one.verdict]}${likeness}`,
    ...[...one.differences.flatMap((each) => difference(each, colours)), ...unlisted(one.more)].map((line) => `  ${line}`),
  ];
}

/** The lines of one session, the first being its verdict. */
export function sessionLines(replayed: Replayed, colours: Colours): string[] {
  const { verdict, session, summary, durationMs, reason, response, calls } = replayed;
  const word = colours[COLOURS[verdict]](`${MARKS[verdict]} ${verdict.padEnd(9)}`);
  const took = (verdict === 'skipped' ? '' : duration(durationMs)).padStart(8);
  const made = calls.length === 0 ? '' : colours.dim(`  ${counted(calls.length, 'call')}`);
  const why = reason === undefined ? '' : `  (${oneLine(reason)})`;
  const lines = [
    ...response.differences.flatMap((one) => difference(one, colours)), ...unlisted(response.more),
    ...calls.filter((one) => one.verdict !== 'same').flatMap((one) => call(one, colours)),
  ];
  const more = Math.max(0, lines.length - MAX_LINES);
  return [
    `${word} ${oneLine(session)} ${took}  ${oneLine(summary)}${made}${why}`,
    ...lines.slice(0, MAX_LINES), ...(more > 0 ? [`    … and ${counted(more, 'line')} more (--json has them all)`] : []),
  ];
}

/** The last lines: what the run says as a whole. `ignored`: differences that were left out as volatile, over all sessions. */
export function summaryLines(summary: ReplaySummary, ignored: number, colours: Colours): string[] {
  const { sessions, same, different, skipped, errors, wallMs, serialised, again } = summary;
  const parts = [
    colours[same > 0 ? 'green' : 'dim'](`${same} same`), colours[different > 0 ? 'red' : 'dim'](`${different} different`),
    ...(errors > 0 ? [colours.red(`${errors} could not be played`)] : []),
    ...(skipped > 0 ? [colours.yellow(`${skipped} skipped`)] : []),
  ];
  const volatile = ignored > 0 ? `; ${counted(ignored, 'volatile value')} left out` : '';
  return [
    '', `${counted(sessions, 'session')}: ${parts.join(', ')}, in ${duration(wallMs)}${volatile}`,
    ...(serialised > 0 ? [colours.dim(`${counted(serialised, 'session')} waited for others, whose calls could not have been told from theirs`)] : []),
    ...(again > 0 ? [colours.dim(`${counted(again, 'session')} played again, alone: it was not proven whose the differences were`)] : []),
  ];
}
