/** Sessions of one trace, of whatever process, as a tree: who called whom. */
import type { OutboundTalk, Session } from '../sessions/session.ts';
import { marksOf, traceOf } from '../sessions/trace-of.ts';
import type { TraceIds } from '../sessions/trace-of.ts';
import { rfc3339 } from '../sessions/json.ts';
import { summariseTalk } from '../store/session-summary.ts';
import type { Paint } from './conversation.ts';
import { duration, localTime, oneLine } from './text.ts';

/** connection: the call of one and the request of the other are the two ends of one connection, at one time. span: the request names the call's span. */
export type CalledBy = 'connection' | 'span';

export interface TraceNode {
  readonly session: Session;
  readonly ids: TraceIds | undefined;
  readonly parent?: { readonly session: Session; readonly call: OutboundTalk; readonly by: CalledBy };
}

/** By start. */
export function traceTree(sessions: readonly Session[]): TraceNode[] {
  const sorted = [...sessions].sort((a, b) => a.startedAtUs - b.startedAtUs);
  const ends = new Map<string, { session: Session; call: OutboundTalk }[]>();
  const spans = new Map<string, { session: Session; call: OutboundTalk }[]>();
  const put = (map: typeof ends, key: string, one: { session: Session; call: OutboundTalk }): void => {
    const known = map.get(key);
    if (known === undefined) map.set(key, [one]);
    else known.push(one);
  };
  for (const session of sorted) {
    for (const call of session.outbound) {
      put(ends, `${call.connection.local} ${call.connection.remote}`, { session, call });
      const { spanId } = marksOf(call);
      if (spanId !== undefined) put(spans, spanId, { session, call });
    }
  }
  return sorted.map((session) => {
    const ids = traceOf(session);
    const { local, remote } = session.inbound.connection;
    const byConnection = local.startsWith('unix:') ? undefined : asked(ends.get(`${remote} ${local}`), session, ids?.spanId);
    if (byConnection !== undefined) return { session, ids, parent: { ...byConnection, by: 'connection' as const } };
    const bySpan = ids?.spanId === undefined ? undefined : spans.get(ids.spanId)?.filter((one) => one.session !== session);
    const [only] = bySpan ?? [];
    return only !== undefined && bySpan?.length === 1 ? { session, ids, parent: { ...only, by: 'span' as const } } : { session, ids };
  });
}

/** Of the calls on its connection that began before it did, and had no answer yet, the one with its span (HTTP/2 carries several at a time), else the last. */
function asked(calls: readonly { session: Session; call: OutboundTalk }[] | undefined, child: Session, spanId: string | undefined): { session: Session; call: OutboundTalk } | undefined {
  const open = (calls ?? []).filter(({ session, call }) => {
    const beganUs = call.request[0]?.atUs ?? Infinity;
    const answeredUs = call.response[0]?.atUs ?? Infinity;
    return session !== child && beganUs <= child.startedAtUs && child.startedAtUs <= answeredUs;
  });
  return (spanId !== undefined && open.length > 1 ? open.find(({ call }) => marksOf(call).spanId === spanId) : undefined) ?? open.at(-1);
}

export interface TraceJson {
  readonly format: 'koala-bpf/trace@1';
  readonly trace: string;
  readonly sessions: readonly object[];
}

export function traceJson(trace: string, nodes: readonly TraceNode[]): TraceJson {
  return {
    format: 'koala-bpf/trace@1',
    trace,
    sessions: nodes.map(({ session, ids, parent }) => {
      const { text, status } = summariseTalk(session.inbound);
      return {
        id: session.id, startedAt: rfc3339(session.startedAtUs), durationMs: Math.round(session.durationMs * 1000) / 1000, process: session.process,
        summary: text, ...(status === undefined ? {} : { status }), ...(ids === undefined ? {} : { trace: ids }),
        ...(parent === undefined ? {} : { parent: { id: parent.session.id, call: parent.session.outbound.indexOf(parent.call), by: parent.by } }),
      };
    }),
  };
}

export function* traceLines(trace: string, nodes: readonly TraceNode[], paint: Paint): Generator<string> {
  const [first] = nodes;
  yield paint.bold(`trace ${oneLine(trace)}`);
  if (first === undefined) return;
  yield paint.dim(`  begun ${localTime(first.session.startedAtUs)}`);
  const children = (of: Session | undefined): readonly TraceNode[] => nodes.filter(({ parent }) => parent?.session === of);
  function* under(node: TraceNode, depth: number, seen: ReadonlySet<Session>): Generator<string> {
    const { session, parent } = node;
    const { text, status } = summariseTalk(session.inbound);
    const afterMs = (session.startedAtUs - (first as TraceNode).session.startedAtUs) / 1000;
    const how = parent === undefined ? '' : paint.dim(parent.by === 'span' ? ' (by its span)' : ' (by its connection)');
    yield `  ${'  '.repeat(depth)}${paint.cyan(session.id)}  +${duration(afterMs)} ${duration(session.durationMs)}  ${oneLine(session.process.command)}[${session.process.tgid}]  ${status === undefined ? '' : `${status} `}${oneLine(text)}${how}`;
    if (seen.has(session)) return;
    for (const child of children(session)) yield* under(child, depth + 1, new Set([...seen, session]));
  }
  for (const root of children(undefined)) yield* under(root, 0, new Set());
}
