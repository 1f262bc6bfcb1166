/**
 * How well a recording ties calls to sessions, judged by the ids that the service put into its calls and by the
 * dependencies' own logs. Pure: values in, values out.
 */
import { bytesOf, type AmbientJson, type OutboundJson, type SessionJson, type TalkJson } from './contract.ts';
import { RID } from './services/rid.ts';

/** What one dependency says it answered: calls by request id, for the ids of this load only. */
export interface Truth {
  readonly kind: string;
  readonly destinations: readonly string[];
  readonly calls: ReadonlyMap<string, number>;
}

/** Calls tied in one way: how many rightly, how many to another request's session. */
export interface Row {
  readonly certainty: string;
  readonly attribution: string;
  right: number;
  wrong: number;
}

export interface Score {
  readonly sessions: number;
  /** Calls that the dependencies answered: the denominator of recall. */
  calls: number;
  right: number;
  wrong: number;
  /** Recorded, but tied to no session. */
  unattributed: number;
  /** Answered by a dependency and in no talk of the recording. */
  lost: number;
  /** Talks with an id beyond what the dependency answered: one call cut in two, or told twice. */
  surplus: number;
  /** Talks whose request names two requests, or whose response names another one: bytes in the wrong talk. */
  crossed: number;
  /** Calls that carry no id (COM_QUIT): judged where their connection served one request only. */
  silent: { right: number; wrong: number; unattributed: number; unknown: number };
  /** Calls of no request (a timer's): in no session, as they should be, or in some; the latter are wrong in `rows` too. */
  background: { ambient: number; tied: number };
  readonly rows: Row[];
  /** The first few mistakes, for people. */
  readonly examples: string[];
}

const MAX_EXAMPLES = 8;

/** The ids in a talk's request bytes, each once. */
export function idsIn(chunks: TalkJson['request']): string[] {
  return [...new Set(bytesOf(chunks).toString('latin1').match(RID) ?? [])];
}

/** The one id of a session's request; undefined where there is none or more than one. */
export function ridOf(session: SessionJson): string | undefined {
  const ids = idsIn(session.inbound.request);
  return ids.length === 1 ? ids[0] : undefined;
}

export function score(sessions: readonly SessionJson[], ambient: readonly AmbientJson[], truths: readonly Truth[], background: readonly string[] = []): Score {
  const result: Score = {
    sessions: sessions.length, calls: 0, right: 0, wrong: 0, unattributed: 0, lost: 0, surplus: 0, crossed: 0,
    silent: { right: 0, wrong: 0, unattributed: 0, unknown: 0 }, background: { ambient: 0, tied: 0 }, rows: [], examples: [],
  };
  const kinds = new Map(truths.flatMap((truth) => truth.destinations.map((destination) => [destination, truth.kind] as const)));
  const seen = new Map<string, number>();
  const owners = idsByConnection(sessions, ambient);
  const judge = (talk: OutboundJson | AmbientJson, session: SessionJson | undefined): void => {
    const kind = kinds.get(talk.connection.remote);
    if (kind === undefined) return;
    const rid = session === undefined ? undefined : ridOf(session);
    const ids = idsIn(talk.request);
    if (ids.length === 0) {
      judgeSilent(result, owners.get(talk.connection.id), rid);
      return;
    }
    const id = ids[0]!;
    const ownerless = background.includes(id);
    if (!ownerless) seen.set(`${kind} ${id}`, (seen.get(`${kind} ${id}`) ?? 0) + 1);
    const others = [...ids.slice(1), ...idsIn(talk.response).filter((other) => other !== id)];
    if (others.length > 0) {
      result.crossed += 1;
      example(result, `${kind}: a talk of ${id} holds ${others.join(', ')} too`);
    }
    if (session === undefined) {
      if (ownerless) result.background.ambient += 1;
      else result.unattributed += 1;
      return;
    }
    const tied = talk as OutboundJson;
    const row = rowOf(result.rows, tied.certainty, tied.attribution);
    const outcome = rid === id ? 'right' : 'wrong';
    row[outcome] += 1;
    if (ownerless) result.background.tied += 1;
    else result[outcome] += 1;
    if (outcome === 'wrong') example(result, `${kind}: ${id} tied to ${rid} (${tied.certainty} by ${tied.attribution}, session ${session.id})`);
  };
  for (const session of sessions) for (const talk of session.outbound) judge(talk, session);
  for (const talk of ambient) judge(talk, undefined);
  holdAgainst(result, truths, seen);
  return result;
}

function holdAgainst(result: Score, truths: readonly Truth[], seen: ReadonlyMap<string, number>): void {
  const known = new Set<string>();
  for (const truth of truths) {
    for (const [id, count] of truth.calls) {
      const key = `${truth.kind} ${id}`;
      const recorded = seen.get(key) ?? 0;
      known.add(key);
      result.calls += count;
      result.lost += Math.max(0, count - recorded);
      result.surplus += Math.max(0, recorded - count);
      if (recorded !== count) example(result, `${key}: answered ${count}, recorded ${recorded}`);
    }
  }
  for (const [key, count] of seen) {
    if (known.has(key)) continue;
    result.surplus += count;
    example(result, `${key}: recorded ${count}, the dependency knows of none`);
  }
}

/** Which ids each connection carried. */
function idsByConnection(sessions: readonly SessionJson[], ambient: readonly AmbientJson[]): Map<string, Set<string>> {
  const owners = new Map<string, Set<string>>();
  for (const talk of [...sessions.flatMap((session) => session.outbound), ...ambient]) {
    const ids = owners.get(talk.connection.id) ?? new Set();
    for (const id of idsIn(talk.request)) ids.add(id);
    owners.set(talk.connection.id, ids);
  }
  return owners;
}

function judgeSilent(result: Score, owners: ReadonlySet<string> | undefined, rid: string | undefined): void {
  if (owners?.size !== 1) result.silent.unknown += 1;
  else if (rid === undefined) result.silent.unattributed += 1;
  else result.silent[owners.has(rid) ? 'right' : 'wrong'] += 1;
}

function rowOf(rows: Row[], certainty: string, attribution: string): Row {
  let row = rows.find((each) => each.certainty === certainty && each.attribution === attribution);
  if (row === undefined) rows.push(row = { certainty, attribution, right: 0, wrong: 0 });
  return row;
}

function example(result: Score, text: string): void {
  if (result.examples.length < MAX_EXAMPLES) result.examples.push(text);
}

/** right / all, as a percentage with two decimals, cut and never rounded up; `–` of nothing. */
export function percent(right: number, all: number): string {
  return all === 0 ? '–' : `${(Math.floor((right * 10_000) / all) / 100).toFixed(2)}%`;
}

/** Ties of one certainty, over all kinds of evidence. */
export function byCertainty(result: Score, certainty: string): { right: number; wrong: number } {
  const rows = result.rows.filter((row) => row.certainty === certainty);
  return { right: rows.reduce((sum, row) => sum + row.right, 0), wrong: rows.reduce((sum, row) => sum + row.wrong, 0) };
}
