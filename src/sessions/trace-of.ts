/** Which trace a session is of, and which span each of its calls is: what its messages carry. Read when it is asked for. */
import type { Chunk } from '../connections/account.ts';
import { traceMarks } from '../protocols/trace-marks.ts';
import type { TraceMarks } from '../protocols/trace-marks.ts';
import type { Session, Talk } from './session.ts';

export interface TraceIds {
  readonly traceId?: string;
  readonly spanId?: string;
  readonly parentSpanId?: string;
  readonly requestIds?: readonly string[];
}

export function marksOf(talk: Talk): TraceMarks {
  const { request, connection } = talk;
  return traceMarks(connection.protocol, {
    head: (max) => joined(request, max),
    tail: (max) => {
      const bytes = lastOf(request);
      return bytes.subarray(Math.max(0, bytes.length - max));
    },
  }, talk.fields?.request);
}

/** Of what a message says; undefined where it says nothing. */
export function traceIds({ traceId, spanId, parentSpanId, ids }: TraceMarks): TraceIds | undefined {
  if (ids.length === 0) return undefined;
  const requestIds = ids.filter((id) => id !== traceId);
  return {
    ...(traceId === undefined ? {} : { traceId }),
    ...(spanId === undefined ? {} : { spanId }),
    ...(parentSpanId === undefined ? {} : { parentSpanId }),
    ...(requestIds.length === 0 ? {} : { requestIds }),
  };
}

/** Its request's; where that has none (the service begins the trace), the trace that its calls agree on. */
export function traceOf(session: Session): TraceIds | undefined {
  const own = traceIds(marksOf(session.inbound));
  if (own !== undefined) return own;
  const begun = new Set<string>();
  for (const call of session.outbound) {
    const { traceId } = marksOf(call);
    if (traceId !== undefined) begun.add(traceId);
  }
  const [traceId] = begun;
  return begun.size === 1 && traceId !== undefined ? { traceId } : undefined;
}

/** Its ids, the trace's first. */
export function idsOf({ traceId, requestIds = [] }: TraceIds): readonly string[] {
  return traceId === undefined ? requestIds : [traceId, ...requestIds];
}

/** As a person gives it: a trace id without its leading zeros, in upper case, with dashes (X-Ray's, a UUID's) or a whole `traceparent`; else a request id. */
export function wantedIds(text: string): readonly string[] {
  const id = text.trim().toLowerCase();
  const parent = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/.exec(id)?.[1];
  const hex = (parent ?? id.replace(/^1-/, '')).replaceAll('-', '');
  return /^[0-9a-f]{1,32}$/.test(hex) ? [...new Set([hex.padStart(32, '0'), id])] : [id];
}

function joined(chunks: readonly Chunk[], max: number): Uint8Array {
  const parts: Uint8Array[] = [];
  let length = 0;
  for (const chunk of chunks) {
    if (!('bytes' in chunk) || length >= max) break;
    parts.push(chunk.bytes);
    length += chunk.bytes.length;
  }
  const [only] = parts;
  return only !== undefined && parts.length === 1 && length <= max ? only : Buffer.concat(parts, Math.min(length, max));
}

function lastOf(chunks: readonly Chunk[]): Uint8Array {
  const last = chunks.at(-1);
  return last !== undefined && 'bytes' in last ? last.bytes : new Uint8Array(0);
}
