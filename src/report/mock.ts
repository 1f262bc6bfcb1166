/** A mock for a person: what became of the calls, and those that nothing answered, each once. Recorded bytes never reach the terminal raw. */
import type { LeftOut } from '../replay/mock-calls.ts';
import type { MockedCall, MockSummary } from '../replay/mocked.ts';
import { differenceLines, unlisted, type Colours } from './replay.ts';
import { counted, oneLine } from './text.ts';

/** Different calls that are named. */
const MAX_NAMED = 20;
/** Different calls that are remembered. */
const MAX_KEPT = 1_000;
const MAX_DIFFERENCES = 5;

const LEFT_OUT: Readonly<Record<LeftOut, string>> = {
  tls: 'TLS', http2: 'HTTP/2', incomplete: 'a part is missing', unanswered: 'not answered when the recording ended', unix: 'a unix socket without a path',
};

interface Noted {
  readonly call: MockedCall;
  times: number;
}

/** Calls that a person should know of: without an answer, or answered as another one. */
export class NotedCalls {
  readonly #noted = new Map<string, Noted>();

  add(call: MockedCall): void {
    if (call.verdict !== 'new' && call.verdict !== 'different') return;
    const key = `${call.verdict} ${call.destination} ${call.summary}`;
    const known = this.#noted.get(key);
    if (known !== undefined) known.times += 1;
    else if (this.#noted.size < MAX_KEPT) this.#noted.set(key, { call, times: 1 });
  }

  /** Those without an answer first. */
  get all(): readonly Noted[] {
    const all = [...this.#noted.values()];
    return [...all.filter(({ call }) => call.verdict === 'new'), ...all.filter(({ call }) => call.verdict !== 'new')];
  }
}

function notedLines({ call, times }: Noted, colours: Colours): string[] {
  const { verdict, summary, destination, because, nearest, recorded, score, differences, more } = call;
  const mark = verdict === 'new' ? colours.red('✗') : colours.yellow('~');
  const other = nearest ?? (differences.length > 0 ? recorded : undefined);
  const likeness = score === undefined ? '' : `, ${(score * 100).toFixed(0)}% alike`;
  const session = other?.session === undefined ? '' : `  (session ${oneLine(other.session)})`;
  const shown = differences.slice(0, MAX_DIFFERENCES);
  const unshown = differences.length - shown.length + (more ?? 0);
  return [
    `  ${mark} ${oneLine(summary)} to ${oneLine(destination)}${times > 1 ? `, ${times} times` : ''}: ${oneLine(because)}`,
    ...(other === undefined ? [] : [colours.dim(`      ${nearest === undefined ? 'answered as' : 'nearest'}${likeness}: ${oneLine(other.summary)}${session}`)]),
    ...[...shown.flatMap((one) => differenceLines(one, colours)), ...unlisted(unshown === 0 ? undefined : unshown)].map((line) => `    ${line}`),
  ];
}

const some = (count: number, what: string): string[] => (count === 0 ? [] : [`${count} ${what}`]);

/** `status`: what we end with. */
export function mockLines(summary: MockSummary, noted: readonly Noted[], status: number, colours: Colours): string[] {
  const { calls, same, different, passed, new: unanswered, repeated, recorded, unused, leftOut, exitStatus } = summary;
  const parts = [
    ...some(same, `answered as recorded${repeated > 0 ? ` (${repeated} once more than recorded)` : ''}`), ...some(different, 'answered otherwise'),
    ...some(passed, 'passed on'), ...some(unanswered, 'without an answer'),
  ];
  const verdict = unanswered === 0 ? colours.green('✓') : colours.red('✗');
  const left = Object.entries(leftOut).map(([why, count]) => `${count} (${LEFT_OUT[why as LeftOut]})`);
  const unshown = noted.length - MAX_NAMED;
  return [
    `koala-bpf: ${verdict} ${counted(calls, 'call')}${parts.length === 0 ? '' : `: ${parts.join(', ')}`}; ${unused} of ${counted(recorded, 'recorded call')} not asked for`,
    ...noted.slice(0, MAX_NAMED).flatMap((one) => notedLines(one, colours)),
    ...(unshown > 0 ? [`  … and ${unshown} other calls`] : []),
    ...(left.length === 0 ? [] : [`  recorded calls that can't be played: ${left.join(', ')}`]),
    ...(exitStatus === 0 && status !== 0 ? ['  the command ended with status 0; ours is 1, as a call had no answer'] : []),
    ...(exitStatus !== undefined && exitStatus !== 0 ? [`  the command ended with status ${exitStatus}`] : []),
  ];
}
