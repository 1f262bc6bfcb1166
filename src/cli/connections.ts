/** `koala-bpf connections`: the account of every connection, byte for byte. */
import type { ArgumentsCamelCase, Argv } from 'yargs';
import { clip, counted, oneLine, size } from '../report/text.ts';
import { Derivation } from '../sessions/derivation.ts';
import { connectionJson } from '../sessions/json.ts';
import type { ConnectionAccount, StreamAccount } from '../sessions/session.ts';
import { openRecording } from '../store/recording.ts';
import { withJson, withQuiet, withRecording } from './command.ts';
import { quietMs } from './environment.ts';
import { Lines, ProgressLine, stdoutColours, stdoutWidth } from './output.ts';
import { progressText, sayStatus } from './reading.ts';

interface Flags {
  DIR: string;
  json: boolean;
  quietAfter: string | undefined;
}

export const command = 'connections DIR';
export const describe = 'the account of every connection: bytes, digests, gaps, how it ended';

export const builder = (yargs: Argv): Argv<Flags> =>
  withQuiet(withJson(withRecording(yargs)))
    .example('$0 connections rec', 'a line each')
    .example("$0 connections rec --json | jq '.egress.sha256'", 'what the process sent, by digest');

export function handler(flags: ArgumentsCamelCase<Flags>): void {
  const quiet = quietMs(process.env, flags.quietAfter);
  const recording = openRecording(flags.DIR);
  const total = recording.segments().reduce((sum, segment) => sum + segment.bytes, 0);
  const progress = new ProgressLine();
  const accounts: ConnectionAccount[] = [];
  const derivation = new Derivation({
    recordingId: recording.id, quietMs: quiet, digests: true, onConnection: (account) => accounts.push(account),
  });
  try {
    const onProgress = (done: number): void => progress.update(progressText('reading', done, total));
    for (const event of recording.events({ onProgress })) derivation.push(event);
    derivation.finish(recording.status().endedOrderly);
  } finally {
    progress.end();
  }
  accounts.sort((left, right) => left.openedAtUs - right.openedAtUs || Number(left.id) - Number(right.id));
  const lines = new Lines();
  if (flags.json) for (const account of accounts) lines.print(JSON.stringify(connectionJson(account)));
  else printTable(accounts, lines);
  lines.end();
  sayStatus(recording, recording.status());
}

/** Columns that a narrow terminal goes without, in this order: sessions, process, role. */
const LEAVES_FIRST = [8, 2, 1];

function printTable(accounts: readonly ConnectionAccount[], lines: Lines): void {
  const colours = stdoutColours();
  const cells = accounts.map((account) => [
    account.id, account.role, `${oneLine(account.command)}[${account.tgid}]`, account.local, account.remote,
    size(account.ingress.bytes), size(account.egress.bytes), account.end, String(account.sessions), missing(account),
  ]);
  const head = ['id', 'role', 'process', 'local', 'remote', 'in', 'out', 'end', 'sessions', 'missing'];
  const widths = head.map((title, column) => cells.reduce((width, row) => Math.max(width, (row[column] ?? '').length), title.length));
  const isNumber = new Set([5, 6, 8]);
  const width = stdoutWidth();
  const left = new Set(head.keys());
  const taken = (): number => [...left].reduce((sum, column) => sum + (widths[column] ?? 0) + 2, -2);
  for (const column of LEAVES_FIRST) if (width !== undefined && taken() > width) left.delete(column);
  const format = (row: readonly string[]): string => {
    const line = [...left].map((column) => {
      const cell = row[column] ?? '';
      return isNumber.has(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0);
    }).join('  ').trimEnd();
    return width === undefined ? line : clip(line, width);
  };
  lines.print(colours.dim(format(head)));
  for (const row of cells) lines.print(row.at(-1) === '' ? format(row) : colours.yellow(format(row)));
  lines.print(colours.dim(counted(accounts.length, 'connection')));
}

/** `12 B in (ring-full)`; empty when every byte is there. */
function missing(account: ConnectionAccount): string {
  const of = (stream: StreamAccount, direction: string): string[] => {
    if (stream.gaps.length === 0) return [];
    const causes = [...new Set(stream.gaps.map((gap) => gap.cause))].join(', ');
    return [`${size(stream.gaps.reduce((sum, gap) => sum + gap.bytes, 0))} ${direction} (${causes})`];
  };
  return [...of(account.ingress, 'in'), ...of(account.egress, 'out')].join(', ');
}
