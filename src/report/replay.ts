/** A replay for a person: a line a session, what differs beneath it, a summary. Recorded bytes never reach the terminal raw. */
import type pc from 'picocolors';
import type { Difference, Replayed, ReplayedCall, ReplaySummary } from '../replay/replayed.ts';
import { counted, duration, oneLine } from './text.ts';
import { printable, valueDiff } from './value-diff.ts';

export type Colours = ReturnType<typeof pc.createColors>;

const MARKS = { same: '✓', different: '✗', skipped: '–', error: '!' } as const;
const COLOURS = { same: 'green', different: 'red', skipped: 'yellow', error: 'red' } as const;
const MAX_LINES = 60;

/** Four blanks before its path. */
export function differenceLines({ path, recorded, live, kind }: Difference, colours: Colours): string[] {
  return [
    `    ${oneLine(path)}  ${colours.dim(kind)}`,
    ...(recorded !== undefined && live !== undefined ? valueDiff(recorded, live, colours).map((line) => `      ${line}`) : [
      ...(recorded === undefined ? [] : [colours.red(`      - ${printable(recorded)}`)]),
      ...(live === undefined ? [] : [colours.green(`      + ${printable(live)}`)]),
    ]),
  ];
}

export function unlisted(more: number | undefined): string[] {
  return more === undefined ? [] : [`    … and ${counted(more, 'more difference')}`];
}

const CALL_WORDS: Readonly<Record<ReplayedCall['verdict'], string>> = {
  same: 'same', different: 'changed', missing: 'not made', new: 'new, not recorded', reordered: 'out of order', state: 'state', cached: 'cached',
};

/** Why a call got its answer, and which recorded ones it could have been. */
function explanation({ how, because, drift = [], candidates = [] }: ReplayedCall): string[] {
  return [
    ...(because === undefined ? [] : [`    ${how === undefined ? '' : `${how}: `}${oneLine(because)}`]),
    ...drift.map(({ path, kind }) => `    ${oneLine(path)} is made by the service: ${kind}`),
    ...candidates.map(({ recorded, summary, score, used }) => `    candidate ${recorded}: ${(score * 100).toFixed(0)}% alike${used === true ? ', answered another call' : ''}: ${oneLine(summary)}`),
  ];
}

function call(one: ReplayedCall, colours: Colours, explain: boolean): string[] {
  const likeness = one.score === undefined ? '' : colours.dim(`  ${(one.score * 100).toFixed(0)}% alike`);
  return [
    `    ${colours.bold('call')} ${oneLine(one.summary)} to ${oneLine(one.destination)}: ${CALL_WORDS[one.verdict]}${likeness}`,
    ...(explain ? explanation(one) : isPlain(one) ? [] : explanation({ ...one, candidates: [] })).map((line) => colours.dim(`  ${line}`)),
    ...[...one.differences.flatMap((each) => differenceLines(each, colours)), ...unlisted(one.more)].map((line) => `  ${line}`),
  ];
}

/** What its verdict says all of. */
const isPlain = ({ verdict, how }: ReplayedCall): boolean => verdict === 'reordered' || how === 'exact' || how === 'equal' || how === 'drift' || how === undefined;

/** What the process kept is said where the session differs; else the summary counts it. */
const isWorthALine = ({ verdict }: ReplayedCall, session: Replayed['verdict']): boolean => verdict !== 'same' && (session === 'different' || (verdict !== 'state' && verdict !== 'cached'));

/**
 * The lines of one session, the first being its verdict. `explain`: also of calls that are the same, why each got its answer, and of
 * others the recorded ones that were nearest.
 */
export function sessionLines(replayed: Replayed, colours: Colours, { explain = false }: { readonly explain?: boolean } = {}): string[] {
  const { verdict, session, summary, durationMs, reason, response, calls, flaky } = replayed;
  const word = colours[COLOURS[verdict]](`${MARKS[verdict]} ${verdict.padEnd(9)}`);
  const took = (verdict === 'skipped' ? '' : duration(durationMs)).padStart(8);
  const made = calls.length === 0 ? '' : colours.dim(`  ${counted(calls.length, 'call')}`);
  const why = reason === undefined ? '' : `  (${oneLine(reason)})`;
  const lines = [
    ...response.differences.flatMap((one) => differenceLines(one, colours)), ...unlisted(response.more),
    ...calls.filter((one) => explain || isWorthALine(one, verdict)).flatMap((one) => call(one, colours, explain)),
  ];
  const more = Math.max(0, lines.length - MAX_LINES);
  return [
    `${word} ${oneLine(session)} ${took}  ${oneLine(summary)}${made}${flaky === true ? colours.yellow('  flaky') : ''}${why}`,
    ...lines.slice(0, MAX_LINES), ...(more > 0 ? [`    … and ${counted(more, 'line')} more (--json has them all)`] : []),
  ];
}

/** The last lines: what the run says as a whole. */
export function summaryLines(summary: ReplaySummary, colours: Colours): string[] {
  const { ignored, flaky, sessions, same, different, skipped, errors, wallMs, serialised, again, untied, background, datagrams } = summary;
  const parts = [
    colours[same > 0 ? 'green' : 'dim'](`${same} same`), colours[different > 0 ? 'red' : 'dim'](`${different} different`),
    ...(errors > 0 ? [colours.red(`${errors} could not be played`)] : []),
    ...(skipped > 0 ? [colours.yellow(`${skipped} skipped`)] : []),
  ];
  const volatile = ignored > 0 ? `; ${counted(ignored, 'volatile value')} left out` : '';
  return [
    '', `${counted(sessions, 'session')}: ${parts.join(', ')}, in ${duration(wallMs)}${volatile}`,
    ...(flaky > 0 ? [colours.yellow(`${counted(flaky, 'session')} flaky: played again, ${flaky === 1 ? 'it differed' : 'they differed'} in another way`)] : []),
    ...(untied > 0 ? [colours.yellow(`${counted(untied, 'call')} between sessions that nothing recorded is like: no session could be told to have made ${untied === 1 ? 'it' : 'them'} (--strict: status 1)`)] : []),
    ...(background > 0 ? [colours.dim(`${counted(background, 'call')} made meanwhile ${background === 1 ? 'was' : 'were'} taken for the service's own: recorded of no session`)] : []),
    ...(datagrams > 0 ? [colours.dim(`${counted(datagrams, 'datagram')} that ${datagrams === 1 ? 'was' : 'were'} sent when recorded: not compared, and sent to nobody now`)] : []),
    ...(serialised > 0 ? [colours.dim(`${counted(serialised, 'session')} waited for others, whose calls could not have been told from theirs`)] : []),
    ...(again > 0 ? [colours.dim(`${counted(again, 'session')} played again, alone: it was not proven whose the differences were`)] : []),
  ];
}
