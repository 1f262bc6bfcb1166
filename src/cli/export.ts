/** `koala-bpf export`: sessions as files or lines for other programs. */
import { chownSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ArgumentsCamelCase, Argv } from 'yargs';
import { EnvironmentError, UserError } from '../errors.ts';
import { FORMATS } from '../formats/index.ts';
import type { Format } from '../formats/index.ts';
import { invoker } from '../kernel/invoker.ts';
import { counted } from '../report/text.ts';
import { Derivation } from '../sessions/derivation.ts';
import { ambientJson } from '../sessions/json.ts';
import type { Session } from '../sessions/session.ts';
import { listSegments, makeFolder } from '../store/folder.ts';
import { openRecording } from '../store/recording.ts';
import type { SessionFilter, SessionIndex } from '../store/session-index.ts';
import { withQuiet, withRecording } from './command.ts';
import { quietMs } from './environment.ts';
import { withFilters, sessionFilter } from './ls.ts';
import type { FilterFlags } from './ls.ts';
import { Lines, ProgressLine, say } from './output.ts';
import { openIndex, progressText, sayStatus } from './reading.ts';

interface Flags extends FilterFlags {
  DIR: string;
  ID: string[] | undefined;
  format: string;
  out: string | undefined;
  ambient: boolean;
  quietAfter: string | undefined;
}

export const command = 'export DIR [ID..]';
export const describe = 'sessions for other programs: one a line or one a file';

export const builder = (yargs: Argv): Argv<Flags> =>
  withFilters(withQuiet(withRecording(yargs)))
    .positional('ID', { type: 'string', array: true, describe: 'sessions, by unique beginnings of their ids; by default all' })
    .option('format', { type: 'string', choices: Object.keys(FORMATS), demandOption: true, requiresArg: true, describe: 'what to make: our JSON, or koala\'s' })
    .option('out', { type: 'string', requiresArg: true, describe: 'a folder for one indented file each, instead of lines on stdout' })
    .option('ambient', { type: 'boolean', default: false, describe: 'what no session caused, instead of sessions' })
    .example('$0 export rec --format json > sessions.ndjson', 'all sessions, one a line')
    .example('$0 export rec 3fa9 --format json --out cases', 'one, as a file to commit')
    .example('$0 export rec --format koala --out sessions', 'for koala\'s tools') as Argv<Flags>;

export function handler(flags: ArgumentsCamelCase<Flags>): void {
  if (flags.ambient) {
    exportAmbient(flags);
    return;
  }
  const format = FORMATS[flags.format] as Format;
  const filter = sessionFilter(flags, Date.now());
  const { recording, index } = openIndex(flags.DIR, flags.quietAfter);
  try {
    const chosen = flags.ID === undefined || flags.ID.length === 0 ? index.list(filter) : found(index, flags.ID, filter);
    const lines = new Lines();
    if (flags.out !== undefined) prepare(flags.out);
    let written = 0;
    let holed = 0;
    for (const row of chosen) {
      const session = index.load(row);
      if (flags.out === undefined) lines.print(format(session, false));
      else writeSession(join(flags.out, `${row.id}.json`), session, format);
      written++;
      if (session.certificate.state !== 'complete') holed++;
    }
    lines.end();
    if (flags.format === 'koala' && holed > 0) say(`koala-bpf: ${counted(holed, 'session')} not complete, which koala's format can't say`);
    if (flags.out !== undefined) say(`koala-bpf: wrote ${counted(written, 'session')} to ${flags.out}; they hold credentials if the traffic did`);
    sayStatus(recording, index.status);
  } finally {
    index.close();
  }
}

/** All are looked up before the first is written: a wrong id writes nothing. Of these, those that the filter lets through. */
function found(index: SessionIndex, ids: readonly string[], filter: SessionFilter) {
  const rows = ids.map((id) => index.find(id));
  if (Object.values(filter).every((value) => value === undefined || value === false)) return rows;
  const wanted = new Set(rows.map(({ id }) => id));
  const fitting = new Set([...index.list(filter)].flatMap(({ id }) => (wanted.has(id) ? [id] : [])));
  return rows.filter(({ id }) => fitting.has(id));
}

/** Makes `out` where it is missing. A recording is no place for files of others: it would be refused from then on. */
function prepare(out: string): void {
  if (existsSync(out) && listSegments(out).length > 0) throw new UserError(`--out ${out} is a recording; name another folder`);
  makeFolder(out, invoker());
}

function writeSession(path: string, session: Session, format: Format): void {
  try {
    writeFileSync(path, `${format(session, true)}\n`, { mode: 0o600 });
    const owner = invoker();
    if (owner !== undefined) chownSync(path, owner.uid, owner.gid);
  } catch (error) {
    throw new EnvironmentError(`Cannot write ${path}: ${(error as Error).message}`);
  }
}

/** Ambient talks are in no index: they are derived for each asking. */
function exportAmbient(flags: Flags): void {
  if (flags.format !== 'json') throw new UserError('--ambient is for --format json: others know sessions only');
  if (flags.out !== undefined) throw new UserError('--ambient prints lines; --out is for sessions');
  if (flags.ID !== undefined && flags.ID.length > 0) throw new UserError('--ambient prints what belongs to no session; leave the ids out');
  const quiet = quietMs(process.env, flags.quietAfter);
  const recording = openRecording(flags.DIR);
  const total = recording.segments().reduce((sum, segment) => sum + segment.bytes, 0);
  const progress = new ProgressLine();
  const lines = new Lines();
  const derivation = new Derivation({
    recordingId: recording.id, quietMs: quiet, onAmbient: (talk) => lines.print(JSON.stringify(ambientJson(talk))),
  });
  const onProgress = (done: number): void => progress.update(progressText('reading', done, total));
  for (const event of recording.events({ onProgress })) derivation.push(event);
  derivation.finish(recording.status().endedOrderly);
  progress.end();
  lines.end();
  sayStatus(recording, recording.status());
}
