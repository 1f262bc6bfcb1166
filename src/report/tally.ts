/** A run as a whole: how many sessions of each endpoint differ, for which causes, and what was left out. */
import { ASKED, generalPath } from '../compare/index.ts';
import { endpointOf } from '../replay/endpoint.ts';
import type { Replayed, ReplayedCall } from '../replay/replayed.ts';
import { clip, counted, oneLine } from './text.ts';
import type { Colours } from './replay.ts';

export interface TallyCounts {
  /** Differences that were left out as noise, over all sessions. */
  readonly ignored: number;
  /** Of these, those where a rule asked for a pattern, a type or a range. */
  readonly asked: number;
  /** Calls that another session's recording answered, and calls that the process did not need to make. */
  readonly state: number;
  readonly cached: number;
  /** Sessions that differed in another way when they were played again. */
  readonly flaky: number;
  /** Datagrams that sessions which were played sent when recorded: not compared. */
  readonly datagrams: number;
}

interface Endpoint {
  sessions: number;
  different: number;
}

const MAX_LISTED = 12;
const MAX_TEXT = 100;

export class Tally {
  readonly #endpoints = new Map<string, Endpoint>();
  /** Cause to ids of sessions. */
  readonly #causes = new Map<string, Set<string>>();
  readonly #noise = new Map<string, number>();
  readonly #counts = { ignored: 0, asked: 0, state: 0, cached: 0, flaky: 0, datagrams: 0 };

  get counts(): TallyCounts {
    return this.#counts;
  }

  add(replayed: Replayed): void {
    const { verdict, summary, session, noise, ignored, calls, flaky, reason, datagrams = 0 } = replayed;
    this.#counts.ignored += ignored;
    this.#counts.datagrams += datagrams;
    if (flaky === true) this.#counts.flaky += 1;
    for (const { path, rule } of noise) {
      if (rule.startsWith(ASKED)) this.#counts.asked += 1;
      const key = `${generalPath(path)} (${rule})`;
      this.#noise.set(key, (this.#noise.get(key) ?? 0) + 1);
    }
    for (const call of calls) if (call.verdict === 'state' || call.verdict === 'cached') this.#counts[call.verdict] += 1;
    if (verdict === 'skipped') return;
    const endpoint = endpointOf(summary);
    const known = this.#endpoints.get(endpoint) ?? { sessions: 0, different: 0 };
    known.sessions += 1;
    this.#endpoints.set(endpoint, known);
    if (verdict === 'same') return;
    known.different += 1;
    const causes = verdict === 'error' ? [reason ?? 'error'] : causesOf(replayed);
    for (const cause of causes) this.#causes.set(cause, (this.#causes.get(cause) ?? new Set()).add(session));
  }

  /** By endpoint and by cause where something differs, and what was left out. */
  lines(colours: Colours): string[] {
    const differing = [...this.#endpoints].filter(([, { different }]) => different > 0).sort(([, a], [, b]) => b.different - a.different);
    const causes = [...this.#causes].sort(([, a], [, b]) => b.size - a.size);
    const noise = [...this.#noise].sort(([, a], [, b]) => b - a);
    const { state, cached } = this.#counts;
    return [
      ...titled('by endpoint', differing.map(([name, { sessions, different }]) => `${colours.red(`${different} of ${sessions}`)}  ${shown(name)}`), colours),
      ...titled('by cause', causes.map(([cause, ids]) => `${colours.red(counted(ids.size, 'session'))}  ${shown(cause)}`), colours),
      ...titled('left out', noise.map(([what, count]) => colours.dim(`${count} × ${shown(what)}`)), colours),
      ...(state + cached === 0 ? [] : ['', colours.dim(`the process's own state: ${counted(state, 'call')} answered as in another session (state), ${cached} not made since it had the answer (cached)`)]),
    ];
  }
}

const shown = (text: string): string => clip(oneLine(text), MAX_TEXT);

function titled(title: string, lines: readonly string[], colours: Colours): string[] {
  if (lines.length === 0) return [];
  const more = lines.length - MAX_LISTED;
  return ['', colours.bold(title), ...lines.slice(0, MAX_LISTED).map((line) => `  ${line}`), ...(more > 0 ? [`  … and ${more} more`] : [])];
}

function causesOf({ response, calls }: Replayed): Set<string> {
  const own = response.differences.map(({ path, kind }) => `${generalPath(path)} ${kind}`);
  const others = [...own, ...calls.filter(({ verdict }) => verdict !== 'state' && verdict !== 'cached').flatMap(causesOfCall)];
  // What the process kept is a cause only where there is no other (--strict).
  return new Set(others.length > 0 ? others : calls.flatMap(causesOfCall));
}

const WORDS: Partial<Record<ReplayedCall['verdict'], string>> = { missing: 'not made', new: 'new', reordered: 'out of order', state: 'state', cached: 'cached' };

function causesOfCall({ verdict, summary, destination, differences }: ReplayedCall): string[] {
  if (verdict === 'same') return [];
  const call = `call ${endpointOf(summary)} to ${destination}`;
  const word = WORDS[verdict];
  if (word !== undefined) return [`${call}: ${word}`];
  if (differences.length === 0) return [`${call}: changed`];
  return differences.map(({ path, kind }) => {
    const where = generalPath(path).replace(/^calls\[\*\]\./, '');
    // However many calls were made on it: one cause.
    return `${where.startsWith('connection') ? `connection to ${destination}` : call}: ${where} ${kind}`;
  });
}
