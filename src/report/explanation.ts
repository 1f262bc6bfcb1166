/**
 * Why each call of a session is said to be its own, why others of its process are not, and why the session is complete or
 * not: names for programs, words for people. Made from a derivation with `reasons`. `docs/json.md` documents the JSON.
 */
import type { AmbientTalk, Attribution, Certainty, Certificate, OutboundTalk, Session, Talk, TalkConnection, TieReasons } from '../sessions/session.ts';
import { rfc3339 } from '../sessions/json.ts';
import { summariseTalk } from '../store/session-summary.ts';
import { certificateReasons } from './certificate-words.ts';
import type { Reason } from './certificate-words.ts';
import { doubtWords, supportWords, whyNotWords } from './reason-words.ts';

interface Said {
  readonly summary: string;
  readonly status?: string;
}

/** `summary` is missing where the session is not in the recording's list. */
export interface Named {
  readonly id: string;
  readonly summary?: string;
}

export interface CallExplained extends Said {
  readonly connection: TalkConnection;
  /** From the session's start. */
  readonly atUs: number;
  readonly attribution: Attribution;
  readonly certainty: Certainty;
  readonly afterResponse?: true;
  readonly alternatives: readonly Named[];
  /** How likely the tie is, 0 to 1, where that was reckoned. */
  readonly probability?: number;
  readonly for: readonly Reason[];
  readonly against: readonly Reason[];
}

export interface UntiedExplained extends Said {
  readonly connection: TalkConnection;
  /** From the session's start. */
  readonly atUs: number;
  /** It began after the session's response was out, so that the certificate does not ask about it. */
  readonly afterResponse?: true;
  readonly candidates: readonly Named[];
  readonly whyNot: readonly Reason[];
}

export interface Explanation extends Said {
  readonly format: 'koala-bpf/explanation@1';
  readonly id: string;
  readonly startedAt: string;
  readonly durationMs: number;
  readonly process: Session['process'];
  readonly inbound: { readonly connection: TalkConnection };
  readonly calls: readonly CallExplained[];
  readonly untied: readonly UntiedExplained[];
  readonly certificate: Pick<Certificate, 'state'> & { readonly reasons: readonly Reason[] };
}

/** What is known of a session before it is derived. */
export type Span = Pick<Session, 'id' | 'startedAtUs' | 'durationMs'> & { readonly tgid: number };
export type Name = (id: string) => Named;
/** Before its candidates have names: they may be sessions that are still to come. */
export type Untied = Omit<UntiedExplained, 'candidates'> & { readonly candidates: readonly string[] };

/** As many candidates as a derivation names: of such a call others may be left out. */
const CANDIDATES_NAMED = 16;

/** The talk may be a call of this session: it is named, or was left out because too many were open. */
export function mayBeOf(talk: AmbientTalk, { id, tgid, startedAtUs, durationMs }: Span): boolean {
  if (talk.candidates.includes(id)) return true;
  return talk.candidates.length >= CANDIDATES_NAMED && talk.tgid === tgid && talk.startedAtUs >= startedAtUs && talk.startedAtUs <= startedAtUs + durationMs * 1000;
}

/** Without the talk's bytes: there may be many. */
export function explainUntied(talk: AmbientTalk, { startedAtUs }: Span): Untied {
  return {
    connection: talk.connection,
    atUs: Math.round(talk.startedAtUs - startedAtUs),
    ...said(talk),
    candidates: talk.candidates,
    whyNot: (talk.whyNot ?? []).map((kind) => ({ kind, words: whyNotWords(kind, talk) })),
  };
}

/** Of a session that was derived with `reasons`. */
export function explain(session: Session, untied: readonly Untied[], name: Name): Explanation {
  const answeredUs = session.inbound.response.at(-1)?.atUs;
  const named = (one: Untied): UntiedExplained => {
    const after = answeredUs !== undefined && session.startedAtUs + one.atUs > answeredUs;
    return { ...one, ...(after ? { afterResponse: true } : {}), candidates: one.candidates.map(name) };
  };
  const { certificate } = session;
  return {
    format: 'koala-bpf/explanation@1',
    id: session.id,
    startedAt: rfc3339(session.startedAtUs),
    durationMs: Math.round(session.durationMs * 1000) / 1000,
    process: session.process,
    ...said(session.inbound),
    inbound: { connection: session.inbound.connection },
    calls: session.outbound.map((call) => explainCall(call, session, name)),
    untied: [...untied].sort((a, b) => a.atUs - b.atUs).map(named),
    certificate: { state: certificate.state, reasons: certificateReasons(certificate) },
  };
}

const NO_REASONS: TieReasons = { for: [], against: [] };

function explainCall(call: OutboundTalk, session: Session, name: Name): CallExplained {
  const { connection, attribution, certainty, afterResponse, alternatives = [], reasons = NO_REASONS } = call;
  return {
    connection,
    atUs: Math.round((call.request[0]?.atUs ?? call.response[0]?.atUs ?? session.startedAtUs) - session.startedAtUs),
    ...said(call),
    attribution,
    certainty,
    ...(afterResponse === undefined ? {} : { afterResponse }),
    alternatives: alternatives.map(name),
    ...(reasons.probability === undefined ? {} : { probability: reasons.probability }),
    for: reasons.for.map((kind) => ({ kind, words: supportWords(kind, call, session) })),
    against: reasons.against.map((kind) => ({ kind, words: doubtWords(kind, call, session) })),
  };
}

function said(talk: Talk): Said {
  const { text, status } = summariseTalk(talk);
  return { summary: text, ...(status === undefined ? {} : { status }) };
}
