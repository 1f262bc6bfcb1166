/** Runs programs/helper.c, under a recorder, and holds what was recorded of its datagrams against what it says it sent. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compiled, project } from './compiled.ts';
import { startRecorder } from './recorder.ts';
import { startTold } from './told-program.ts';

export const helperTitle = 'helper datagrams are recorded once each, with their flags as given, whatever the call returned, by every way to send them';

/** Compiles it into build/ unless that is newer. Returns its path. */
export function buildHelper(): string {
  const source = join(project, 'test/native/programs/helper.c');
  return compiled('helper', [source], [source]);
}

/** What is looked at of a recorded event. Its own type: this is compiled for guests, where the project's sources are not. */
interface Recorded {
  readonly kind: string;
  readonly tid: number;
  readonly flags?: number;
  readonly length?: number;
  readonly bytes?: Uint8Array;
}

/** The program, waiting to be told. */
export interface HelperClient {
  readonly pid: number;
  /** Sends them all. */
  send(): Promise<void>;
  judge(events: readonly object[]): HelperRun;
  end(): void;
}

export interface HelperRun {
  readonly problems: readonly string[];
  /** How many were sent. */
  readonly sent: number;
  /** Calls that failed, by errno. */
  readonly failed: Readonly<Record<number, number>>;
}

export async function startHelper(): Promise<HelperClient> {
  const { pid, lines, go, end } = await startTold(buildHelper(), [], (line) => line['ready'] === true);
  return {
    pid,
    send: async () => void await go((line) => line['done'] === true, 30_000),
    judge(events) {
      const recorded = (events as readonly Recorded[]).filter(({ kind }) => kind === 'helper');
      const sent = lines.all.filter((line) => typeof line['road'] === 'string');
      const failed: Record<number, number> = {};
      for (const { errno } of sent) if (typeof errno === 'number' && errno !== 0) failed[errno] = (failed[errno] ?? 0) + 1;
      return { sent: sent.length, failed, problems: problemsOf(sent, recorded, pid) };
    },
    end,
  };
}

/** `eventsOf`: reads a recording. */
export async function runHelper(eventsOf: (dir: string) => readonly object[]): Promise<HelperRun> {
  const folder = mkdtempSync(join(tmpdir(), 'koala-helper-'));
  const client = await startHelper();
  try {
    const recorder = await startRecorder(join(folder, 'rec'), ['--pid', String(client.pid)]);
    await client.send();
    await recorder.stop();
    return client.judge(eventsOf(recorder.dir));
  } finally {
    client.end();
    rmSync(folder, { recursive: true, force: true });
  }
}

function problemsOf(sent: readonly Readonly<Record<string, unknown>>[], recorded: readonly Recorded[], pid: number): string[] {
  const problems = sent.length > 10 ? [] : [`only ${sent.length} were sent`];
  for (const { road, flags } of sent) {
    const body = `to-koala!read-storage\n${String(road)} ${String(flags)}`;
    const found = recorded.filter(({ bytes }) => Buffer.from(bytes ?? []).toString('latin1') === body);
    const told = found.map((event) => `flags ${event.flags}, tid ${event.tid}${event.length === undefined ? '' : `, cut from ${event.length}`}`).join('; ');
    if (told !== `flags ${String(flags)}, tid ${pid}`) problems.push(`${String(road)} with flags ${String(flags)}: recorded ${found.length} times: ${told}`);
  }
  if (recorded.length !== sent.length) problems.push(`${recorded.length} recorded, ${sent.length} sent`);
  return problems;
}
