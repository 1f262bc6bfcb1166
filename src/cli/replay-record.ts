/** `replay --record`: the service under replay is recorded from its first instruction on, as `attach -- CMD` would. */
import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Argv } from 'yargs';
import { UserError } from '../errors.ts';
import { beginWatching } from '../record/begin.ts';
import { followNewcomers } from '../record/newcomers.ts';
import type { RecordedSummary, Recorder } from '../record/recorder.ts';
import type { Targets } from '../record/targets.ts';
import { recordedJson, recordedLines, type RecordedJson } from './recorded.ts';
import { checkRights, recorderOptions, startRecorder } from './recorder-options.ts';

export interface RecordFlags {
  record: string | undefined;
}

export const withRecord = <T>(yargs: Argv<T>): Argv<T & RecordFlags> => yargs
  .option('record', { type: 'string', requiresArg: true, describe: 'record the replay itself into this folder: what the service says and hears (as root)' }) as unknown as Argv<T & RecordFlags>;

/** A replay asks as fast as it is answered: four times what `attach` takes by default. */
const RING_BYTES = '64MiB';
const DEFAULTS = {
  probe: 'auto', ringBytes: RING_BYTES, maxConnections: 65_536, maxMessage: undefined, maxDisk: undefined, minFree: undefined, segmentBytes: '64MiB', bypass: undefined, appends: true,
} as const;
const NOBODY: Targets = { pids: [], ports: [], cgroups: [], executables: [], all: false };

const realPath = (path: string): string => {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
};

/** The folder of `--record`, if any. Throws UserError for what can't be meant, EnvironmentError where nothing can be recorded. */
export function recordTo(flags: RecordFlags & { readonly paths: readonly string[] }, runsAlready: boolean): string | undefined {
  if (flags.record === undefined) return undefined;
  const dir = resolve(flags.record);
  if (runsAlready) throw new UserError('--record is for a service that replay starts (-- CMD); one that runs already is recorded by koala-bpf attach, beside the replay');
  if (flags.paths.some((path) => realPath(path) === realPath(dir))) throw new UserError(`--record ${flags.record}: that is the recording that is replayed; name another folder`);
  checkRights();
  return dir;
}

export interface Recorded {
  readonly json: RecordedJson;
  /** For people. */
  readonly lines: readonly string[];
}

export class ReplayRecording {
  readonly #recorder: Recorder;
  readonly #dir: string;
  readonly #startedMs = performance.now();
  #settle: () => void = () => undefined;

  private constructor(recorder: Recorder, dir: string) {
    this.#recorder = recorder;
    this.#dir = dir;
  }

  /** Ready, nobody watched yet. Throws UserError for a foreign folder, EnvironmentError where the kernel refuses. */
  static async start(dir: string): Promise<ReplayRecording> {
    return new ReplayRecording(await startRecorder(recorderOptions(DEFAULTS, NOBODY, dir)), dir);
  }

  /** From here on: `pid` and all that descends from it. */
  begin(pid: number): void {
    const targets = { ...NOBODY, pids: [pid] };
    beginWatching(this.#recorder, targets);
    this.#settle = followNewcomers(this.#recorder, targets);
  }

  /** What is still to be written is given up. */
  abandon(): void {
    this.#recorder.abandon();
  }

  /** All that happened is on disk. `failure`: why it is not, or not all. */
  async stop(): Promise<{ recorded: Recorded | undefined; failure: unknown }> {
    this.#settle();
    try {
      return { recorded: this.#told(await this.#recorder.stop()), failure: undefined };
    } catch (failure) {
      const { summary } = failure as { summary?: RecordedSummary };
      return { recorded: summary === undefined ? undefined : this.#told(summary), failure };
    }
  }

  #told(summary: RecordedSummary): Recorded {
    return {
      json: recordedJson(summary, this.#dir),
      lines: [...recordedLines(summary, this.#dir, performance.now() - this.#startedMs), `  see it: koala-bpf ls ${this.#dir}`],
    };
  }
}
