/** What the commands that read a recording share: opening it, deriving it, and saying what is wrong with it. */
import { counted, localTime, size } from '../report/text.ts';
import { openRecording } from '../store/recording.ts';
import type { Recording, Status } from '../store/recording.ts';
import { openSessionIndex } from '../store/session-index.ts';
import type { SessionIndex } from '../store/session-index.ts';
import { quietMs } from './environment.ts';
import { ProgressLine, say } from './output.ts';

/** Problems and pauses beyond this many are counted, not listed. */
const MAX_PROBLEMS = 5;

/** Opens the recording's index, made first where it has to be, with progress on a terminal. */
export function openIndex(dir: string, quietAfter: string | undefined): { recording: Recording; index: SessionIndex } {
  const quiet = quietMs(process.env, quietAfter);
  const recording = openRecording(dir);
  const progress = new ProgressLine();
  try {
    const index = openSessionIndex(recording, {
      quietMs: quiet,
      onProgress: (done, total) => progress.update(progressText('indexing', done, total)),
      onUnkept: (why) => say(`koala-bpf: the index can't be kept beside the recording (${why}); the next command derives again`),
    });
    return { recording, index };
  } finally {
    progress.end();
  }
}

export function progressText(what: string, done: number, total: number): string {
  const percent = total === 0 ? 100 : Math.min(100, Math.floor((done / total) * 100));
  return `${what} ${percent}% of ${size(total)}`;
}

/** Says on stderr what a reader of this recording should know. */
export function sayStatus(recording: Recording, status: Status): void {
  for (const problem of status.problems.slice(0, MAX_PROBLEMS)) say(`koala-bpf: ${problem}`);
  const more = status.problems.length - MAX_PROBLEMS;
  if (more > 0) say(`koala-bpf: and ${counted(more, 'more problem')} of this kind`);
  for (const { fromUs, toUs } of status.pauses.slice(0, MAX_PROBLEMS)) {
    say(`koala-bpf: nothing was recorded from ${localTime(fromUs)} to ${localTime(toUs)}: the recorder was not running`);
  }
  const pauses = status.pauses.length - MAX_PROBLEMS;
  if (pauses > 0) say(`koala-bpf: and in ${counted(pauses, 'more pause')}`);
  if (status.endedOrderly || status.untilUs === 0) return;
  if (recording.live) say(`koala-bpf: being recorded; shown until ${localTime(status.untilUs)}`);
  else say(`koala-bpf: the recorder ended without a word; recorded until ${localTime(status.untilUs)}`);
}
