/** `koala-bpf ls`: the sessions of a recording. */
import type { ArgumentsCamelCase, Argv } from 'yargs';
import { UserError } from '../errors.ts';
import { clip, counted, duration, localTime, oneLine } from '../report/text.ts';
import { wantedIds } from '../sessions/trace-of.ts';
import type { ListedSession, SessionFilter } from '../store/session-index.ts';
import { withJson, withQuiet, withRecording } from './command.ts';
import { parseDuration } from './environment.ts';
import { Lines, stdoutColours, stdoutWidth } from './output.ts';
import type { Colours } from './output.ts';
import { openIndex, sayStatus } from './reading.ts';

export interface FilterFlags {
  since: string | undefined;
  until: string | undefined;
  pid: number | undefined;
  grep: string | undefined;
  status: string | undefined;
  trace: string | undefined;
  incomplete: boolean;
}

interface Flags extends FilterFlags {
  DIR: string;
  json: boolean;
  quietAfter: string | undefined;
}

const LEGEND = '~ before calls: some are only likely its own (koala-bpf explain says why)';

export const command = 'ls DIR';
export const describe = 'the sessions of a recording';

/** The flags that choose sessions; `pid` where that is not the service that runs. */
export const withFilters = <T>(yargs: Argv<T>): Argv<T & FilterFlags> =>
  withOtherFilters(yargs).option('pid', { type: 'number', requiresArg: true, describe: 'of this process' }) as unknown as Argv<T & FilterFlags>;

export const withOtherFilters = <T>(yargs: Argv<T>): Argv<T & Omit<FilterFlags, 'pid'>> =>
  yargs
    .option('since', { type: 'string', requiresArg: true, describe: 'begun at or after: a time (2026-11-23T14:00, 14:00) or how long ago (10m)' })
    .option('until', { type: 'string', requiresArg: true, describe: 'begun before: as --since' })
    .option('grep', { type: 'string', requiresArg: true, describe: 'with this in the summary; case does not matter' })
    .option('status', { type: 'string', requiresArg: true, describe: 'answered with this status: 200, 5xx, OK' })
    .option('trace', { type: 'string', requiresArg: true, describe: 'of this trace or request id: traceparent, B3, X-Request-ID, …' })
    .option('incomplete', { type: 'boolean', default: false, describe: 'only those of which something is missing or was out of sight' });

export const builder = (yargs: Argv): Argv<Flags> =>
  withFilters(withQuiet(withJson(withRecording(yargs))))
    .example('$0 ls rec --status 5xx --since 10m', 'what failed in the last ten minutes')
    .example('$0 ls rec --grep /orders --json | jq .id', 'ids, for a script')
    .epilogue(`${LEGEND}.`);

export function handler(flags: ArgumentsCamelCase<Flags>): void {
  const filter = sessionFilter(flags, Date.now());
  const { recording, index } = openIndex(flags.DIR, flags.quietAfter);
  const lines = new Lines();
  try {
    let shown = 0;
    let unsure = false;
    const colours = stdoutColours();
    const width = stdoutWidth();
    const columns = columnsFor(width);
    for (const session of index.list(filter)) {
      if (!flags.json && shown === 0) lines.print(colours.dim(headLine(columns)));
      lines.print(flags.json ? JSON.stringify(index.line(session)) : listLine(session, columns, colours, width));
      shown++;
      unsure ||= session.ties.likely > 0;
    }
    if (!flags.json && unsure) lines.print(colours.dim(LEGEND));
    if (!flags.json) lines.print(colours.dim(shown === index.count ? counted(shown, 'session') : `${shown} of ${counted(index.count, 'session')}`));
    lines.end();
    sayStatus(recording, index.status);
  } finally {
    index.close();
  }
}

/** Throws UserError for what is no time. */
export function sessionFilter(flags: FilterFlags, nowMs: number): SessionFilter {
  if (flags.pid !== undefined && !(Number.isInteger(flags.pid) && flags.pid > 0)) throw new UserError('--pid: not a process id');
  return {
    ...(flags.since === undefined ? {} : { sinceUs: timeFlag('since', flags.since, nowMs) }),
    ...(flags.until === undefined ? {} : { untilUs: timeFlag('until', flags.until, nowMs) }),
    ...(flags.pid === undefined ? {} : { tgid: flags.pid }),
    ...(flags.grep === undefined ? {} : { grep: flags.grep }),
    ...(flags.status === undefined ? {} : { status: flags.status }),
    ...(flags.trace === undefined ? {} : { trace: wantedIds(flags.trace) }),
    incomplete: flags.incomplete,
  };
}

/** What Date.parse leaves of a fraction of a second: the digits from the fourth to the sixth, in µs. */
function microseconds(text: string): number {
  return Number((/\.\d{3}(\d{1,3})/.exec(text)?.[1] ?? '0').padEnd(3, '0'));
}

/** Unix µs of an ISO date or time, a time of today (`14:00`), or a duration before now. */
export function timeFlag(flag: string, text: string, nowMs: number): number {
  const ago = parseDuration(text);
  if (ago !== undefined) return (nowMs - ago) * 1000;
  const today = new Date(nowMs);
  const clock = /^(\d{1,2}):(\d{2})(?::(\d{2})(\.\d+)?)?$/.exec(text);
  if (clock !== null) {
    const [hours, minutes, seconds, fraction] = [clock[1], clock[2], clock[3], clock[4]].map((part) => Number(part ?? 0)) as [number, number, number, number];
    const atMs = new Date(today.getFullYear(), today.getMonth(), today.getDate(), hours, minutes, seconds).getTime();
    if (hours < 24 && minutes < 60 && seconds < 60) return atMs * 1000 + Math.round(fraction * 1_000_000);
  }
  const atMs = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(/^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00` : text) : Number.NaN;
  if (Number.isNaN(atMs)) throw new UserError(`--${flag}: ${JSON.stringify(text)} is not a time like 2026-11-23T14:00, 14:00 or 10m`);
  return atMs * 1000 + microseconds(text);
}

/** From this many characters on a terminal shows every column. Whatever reads a pipe has them all. */
const WIDE = 132;
const WITH_PROCESS = 100;

/** The columns before the summary. */
interface Columns {
  readonly started: (session: ListedSession) => string;
  readonly startedWidth: number;
  /** 0: left out. */
  readonly processWidth: number;
  readonly statusWidth: number;
  /** False: said before the summary, and only where it is not `complete`. */
  readonly state: boolean;
}

function columnsFor(width: number | undefined): Columns {
  if (width === undefined || width >= WIDE) {
    return { started: (session) => localTime(session.startedAtUs), startedWidth: 23, processWidth: 22, statusWidth: 8, state: true };
  }
  // `11-23 14:12:12`: the year and the milliseconds go first.
  return {
    started: (session) => localTime(session.startedAtUs).slice(5, 19), startedWidth: 14,
    processWidth: width >= WITH_PROCESS ? 18 : 0, statusWidth: 6, state: false,
  };
}

const STATE_WIDTH = 10;

function headLine(columns: Columns): string {
  const { startedWidth, processWidth, statusWidth, state } = columns;
  return [
    'id'.padEnd(12), 'started'.padEnd(startedWidth), 'took'.padStart(8), ...(processWidth > 0 ? ['process'.padEnd(processWidth)] : []),
    'status'.padEnd(statusWidth), 'calls'.padStart(5), ...(state ? ['state'.padEnd(STATE_WIDTH)] : []), 'summary',
  ].join('  ');
}

function listLine(session: ListedSession, columns: Columns, colours: Colours, width: number | undefined): string {
  const { processWidth, statusWidth } = columns;
  const status = clip(oneLine(session.statusText ?? ''), statusWidth).padEnd(statusWidth);
  const paintStatus = /^5|^ERR/i.test(status) ? colours.red : /^4/.test(status) ? colours.yellow : colours.green;
  const state = session.tls ? `${session.state === 'complete' ? '' : '! '}tls` : session.state;
  const paintState = session.state === 'complete' ? colours.dim : colours.yellow;
  const before: (readonly [text: string, paint?: (text: string) => string])[] = [
    [session.id.padEnd(12)], [columns.started(session)], [duration(session.durationMs).padStart(8)],
    ...(processWidth > 0 ? [[clip(`${oneLine(session.commandText)}[${session.tgid}]`, processWidth).padEnd(processWidth)]] as const : []),
    [status, paintStatus], [`${session.ties.likely > 0 ? '~' : ''}${session.outbound}`.padStart(5)],
    ...(columns.state ? [[state.padEnd(STATE_WIDTH), paintState]] as const : state === 'complete' ? [] : [[`(${state})`, paintState]] as const),
  ];
  const used = before.reduce((sum, [text]) => sum + text.length + 2, 0);
  const summary = oneLine(session.summaryText);
  const rest = width === undefined ? summary : clip(summary, Math.max(1, width - used));
  return [...before.map(([text, paint]) => paint === undefined ? text : paint(text)), rest].join('  ').trimEnd();
}
