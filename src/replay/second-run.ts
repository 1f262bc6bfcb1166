/**
 * A session that differs is played once more: what is another value each time says nothing about the build. Never so taken:
 * a status, a structure, a call that is missing or new; where the second run differs in those, the session is flaky. Pure.
 */
import { isValue, type Difference, type Noise } from '../compare/index.ts';
import type { Replayed, ReplayedCall } from './replayed.ts';
import { isSame } from './verdict.ts';

/** The rule that noise found in this way is reported under. */
export const VOLATILE = 'another value each time';

/** A difference, and the value that the other run has in its place. */
export interface Twice {
  readonly difference: Difference;
  readonly other: unknown;
}

/** The verdict that two runs of a session give; `first` differs. */
export function verdictOfTwo(first: Replayed, second: Replayed, strict: boolean): Replayed {
  if (second.verdict === 'error' || second.verdict === 'skipped') return { ...first, flaky: true };
  // Of a list that was cut short it can't be told what the other run has there.
  const response = second.response.more === undefined ? split(first.response.differences, second.response.differences) : { left: [...first.response.differences], noise: [] };
  const others = new Map(second.calls.flatMap((call) => (call.recorded === undefined ? [] : [[call.recorded, call] as const])));
  const noise: Noise[] = [...response.noise];
  const calls = first.calls.map((call): ReplayedCall => {
    if (call.verdict !== 'different') return call;
    const other = call.recorded === undefined ? undefined : others.get(call.recorded);
    // One that was found by likeness, or not at all, is another call, whatever differs.
    if (other === undefined || call.more !== undefined || (call.how !== 'equal' && call.how !== 'exact' && call.how !== 'drift')) return call;
    const { left, noise: volatile } = split(call.differences, other.differences);
    noise.push(...volatile);
    return left.length === 0 ? { ...call, verdict: 'same', differences: [] } : { ...call, differences: left };
  });
  const responseSame = response.left.length === 0 && first.response.more === undefined;
  const same = responseSame && calls.every(({ verdict }) => isSame(verdict, strict));
  const settled: Replayed = {
    ...first, verdict: same ? 'same' : 'different', ignored: first.ignored + noise.length, noise: [...first.noise, ...noise], calls,
    response: { ...first.response, verdict: responseSame ? 'same' : 'different', differences: response.left },
  };
  const shape = (one: Replayed): string => JSON.stringify(shapeOf(one, strict));
  if (shape(first) === shape(second)) return settled;
  return { ...settled, verdict: 'different', flaky: true, reason: settled.verdict === 'same' ? `a second run differs: ${shapeOf(second, strict).join(', ') || 'not at all'}` : 'a second run differs otherwise' };
}

/** What no second run excuses: everything that differs and is no mere value. */
function shapeOf({ response, calls }: Replayed, strict: boolean): string[] {
  const fixed = (differences: readonly Difference[], at = ''): string[] => differences.filter((one) => !isValue(one))
    .map(({ path, kind, live }) => `${at}${plain(path)} ${kind}${path.endsWith('.status') ? ` ${JSON.stringify(live)}` : ''}`);
  return [
    ...fixed(response.differences),
    ...calls.flatMap(({ verdict, recorded, summary, how, differences }) => {
      if (isSame(verdict, strict)) return [];
      const found = verdict === 'different' && (how === 'equal' || how === 'exact' || how === 'drift');
      return found ? fixed(differences, `call ${recorded}: `) : [`${verdict} call ${recorded ?? summary}`];
    }),
  ].sort();
}

/** Differences that are another value in the other run too, and the rest. Paths of calls are compared without the call's index. */
function split(differences: readonly Difference[], others: readonly Difference[]): { left: Difference[]; noise: Noise[] } {
  const left: Difference[] = [];
  const noise: Noise[] = [];
  for (const { difference, other } of twice(differences, others)) {
    if (isValue(difference) && JSON.stringify(other) !== JSON.stringify(difference.live)) noise.push({ path: difference.path, rule: VOLATILE });
    else left.push(difference);
  }
  return { left, noise };
}

const plain = (path: string): string => path.replace(/^calls\[\d+\]\./, '');

/** Each difference with what the other run has there: what was recorded, where it has no difference. */
export function twice(differences: readonly Difference[], others: readonly Difference[]): Twice[] {
  const byPath = new Map(others.map((one) => [plain(one.path), one]));
  return differences.map((difference) => {
    const other = byPath.get(plain(difference.path));
    return { difference, other: other === undefined ? difference.recorded : other.live };
  });
}
