/** `koala-bpf ls`: the sessions of a recording. */
import type { ArgumentsCamelCase, Argv } from 'yargs';
import { UserError } from '../errors.ts';
import { clip, counted, duration, localTime, oneLine } from '../report/text.ts';
import type { ListedSession, SessionFilter } from '../store/session-index.ts';
import { withJson, withQuiet, withRecording } from './command.ts';
import { parseDuration } from './environment.ts';
import { Lines, stdoutColours } from './output.ts';
import type { Colours } from './output.ts';
import { openIndex, sayStatus } from './reading.ts';

export interface FilterFlags {
  since: string | undefined;
  until: string | undefined;
  pid: number | undefined;
  grep: string | undefined;
  status: string | undefined;
  incomplete: boolean;
}

interface Flags extends FilterFlags {
  DIR: string;
  json: boolean;
  quietAfter: string | undefined;
}

export const command = 'ls DIR';
export const describe = 'the sessions of a recording';

/** The flags that choose sessions. */
export const withFilters = <T>(yargs: Argv<T>): Argv<T & FilterFlags> =>
  yargs
    .option('since', { type: 'string', requiresArg: true, describe: 'begun at or after: a time (2026-11-23T14:00, 14:00) or how long ago (10m)' })
    .option('until', { type: 'string', requiresArg: true, describe: 'begun before: as --since' })
    .option('pid', { type: 'number', requiresArg: true, describe: 'of this process' })
    .option('grep', { type: 'string', requiresArg: true, describe: 'with this in the summary; case does not matter' })
    .option('status', { type: 'string', requiresArg: true, describe: 'answered with this status: 200, 5xx, OK' })
    .option('incomplete', { type: 'boolean', default: false, describe: 'only those of which something is missing or was out of sight' });

export const builder = (yargs: Argv): Argv<Flags> =>
  withFilters(withQuiet(withJson(withRecording(yargs))))
    .example('$0 ls rec --status 5xx --since 10m', 'what failed in the last ten minutes')
    .example('$0 ls rec --grep /orders --json | jq .id', 'ids, for a script');

export function handler(flags: ArgumentsCamelCase<Flags>): void {
  const filter = sessionFilter(flags, Date.now());
  const { recording, index } = openIndex(flags.DIR, flags.quietAfter);
  const lines = new Lines();
  try {
    let shown = 0;
    const colours = stdoutColours();
    const width = process.stdout.isTTY ? process.stdout.columns : undefined;
    for (const session of index.list(filter)) {
      if (!flags.json && shown === 0) lines.print(colours.dim(HEAD));
      lines.print(flags.json ? JSON.stringify(index.line(session)) : listLine(session, colours, width));
      shown++;
    }
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
    incomplete: flags.incomplete,
  };
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
    if (hours < 24 && minutes < 60 && seconds < 60) return (atMs + fraction * 1000) * 1000;
  }
  const atMs = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(/^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00` : text) : Number.NaN;
  if (Number.isNaN(atMs)) throw new UserError(`--${flag}: ${JSON.stringify(text)} is not a time like 2026-11-23T14:00, 14:00 or 10m`);
  return atMs * 1000;
}

const HEAD = `${'id'.padEnd(12)}  ${'started'.padEnd(23)}  ${'took'.padStart(8)}  ${'process'.padEnd(22)}  ${'status'.padEnd(8)}  ${'calls'.padStart(5)}  state       summary`;

function listLine(session: ListedSession, colours: Colours, width: number | undefined): string {
  const process = clip(`${oneLine(session.commandText)}[${session.tgid}]`, 22).padEnd(22);
  const status = clip(oneLine(session.statusText ?? ''), 8).padEnd(8);
  const state = session.tls ? `${session.state === 'complete' ? '' : '! '}tls` : session.state;
  const fixed = `${session.id.padEnd(12)}  ${localTime(session.startedAtUs)}  ${duration(session.durationMs).padStart(8)}  ${process}  `;
  const calls = String(session.outbound).padStart(5);
  const summary = oneLine(session.summaryText);
  const rest = width === undefined ? summary : clip(summary, Math.max(20, width - fixed.length - 29));
  const paintStatus = /^5|^ERR/i.test(status) ? colours.red : /^4/.test(status) ? colours.yellow : colours.green;
  const paintState = session.state === 'complete' ? colours.dim : colours.yellow;
  return `${fixed}${paintStatus(status)}  ${calls}  ${paintState(state.padEnd(10))}  ${rest}`.trimEnd();
}
