/** HTTP requests and answers: what they mean, not how they were written down. */
import { bodyModel, compareBody, comparePairs, pairsModel } from './body.ts';
import { compareBytes, shown } from './bytes.ts';
import type { Differences } from './difference.ts';
import { compareHeaders, headersModel } from './headers.ts';
import { readRequest, readResponse } from '../protocols/http-message.ts';
import type { HttpMessage } from '../protocols/http-message.ts';
import type { Json } from './json.ts';

const headerOf = (message: HttpMessage, name: string): string | undefined => message.headers.find(([header]) => header === name)?.[1];

function compareMessages(part: string, recorded: HttpMessage, live: HttpMessage, lengthMatters: boolean, out: Differences): void {
  compareHeaders(`${part}.headers`, recorded.headers, live.headers, { lengthMatters }, out);
  compareBody(`${part}.body`, { bytes: recorded.body, type: headerOf(recorded, 'content-type') }, { bytes: live.body, type: headerOf(live, 'content-type') }, out);
  out.value(`${part}.whole`, String(recorded.whole), String(live.whole));
  compareBytes(`${part}.rest`, recorded.rest, live.rest, out);
}

/** False when one of the two is no request that can be read: then nothing was added. */
export function compareRequests(part: string, recorded: Uint8Array, live: Uint8Array, out: Differences): boolean {
  const a = readRequest(recorded);
  const b = readRequest(live);
  if (a === undefined || b === undefined) return false;
  out.value(`${part}.method`, a.start[0], b.start[0]);
  compareTargets(part, a.start[1], b.start[1], out);
  out.value(`${part}.version`, a.start[2], b.start[2]);
  compareMessages(part, a, b, false, out);
  return true;
}

/** The request as a value: equal for two requests exactly where `compareRequests` finds nothing; undefined when it can't be read. */
export function requestModel(bytes: Uint8Array): Json | undefined {
  const message = readRequest(bytes);
  if (message === undefined) return undefined;
  const [path, query] = splitTarget(message.start[1]);
  return {
    method: message.start[0], path, query: pairsModel(query), version: message.start[2], headers: headersModel(message.headers),
    body: bodyModel({ bytes: message.body, type: headerOf(message, 'content-type') }), whole: message.whole, rest: message.rest.length === 0 ? null : shown(message.rest),
  };
}

function splitTarget(target: string): readonly [path: string, query: string] {
  const mark = target.indexOf('?');
  return mark < 0 ? [target, ''] : [target.slice(0, mark), target.slice(mark + 1)];
}

function compareTargets(part: string, recorded: string, live: string, out: Differences): void {
  const [path, query] = splitTarget(recorded);
  const [livePath, liveQuery] = splitTarget(live);
  out.value(`${part}.path`, path, livePath);
  if (query !== liveQuery) comparePairs(`${part}.query`, query, liveQuery, out);
}

/** `method` is that of the requests, which an answer is read by. The reason phrase means nothing (RFC 9112 §4). */
export function compareResponses(part: string, recorded: Uint8Array, live: Uint8Array, method: string | undefined, out: Differences): boolean {
  const bodiless = method === 'HEAD';
  const a = readResponse(recorded, bodiless);
  const b = readResponse(live, bodiless);
  if (a === undefined || b === undefined) return false;
  out.value(`${part}.status`, Number(a.start[1]), Number(b.start[1]));
  out.value(`${part}.version`, a.start[0], b.start[0]);
  compareInterim(`${part}.interim`, a.interim, b.interim, out);
  compareMessages(part, a, b, bodiless || a.start[1] === '304', out);
  return true;
}

/** A 100 comes or not by who is faster (a server may leave it out when the body is there already, RFC 9110 §10.1.1). */
function compareInterim(path: string, recorded: readonly string[], live: readonly string[], out: Differences): void {
  const told = (statuses: readonly string[]): string => statuses.filter((status) => status !== '100').join(', ');
  out.value(path, told(recorded), told(live));
  if (told(recorded) === told(live) && recorded.length !== live.length) out.ignore(path, '100 Continue depends on timing');
}

/** The method of a request, as far as it can be read. */
export const methodOf = (request: Uint8Array): string | undefined => /^\s*([A-Z]+) /.exec(Buffer.from(request.subarray(0, 64)).toString('latin1'))?.[1];
