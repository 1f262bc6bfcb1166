/** FastCGI: requests by parameters and body, answers as the CGI document they carry. */
import { readPairs, readStreams } from '../protocols/fastcgi-records.ts';
import { bodyModel, compareBody } from './body.ts';
import { compareBytes, shown } from './bytes.ts';
import { keyed } from './difference.ts';
import type { Differences } from './difference.ts';
import { compareHeaders, VOLATILE } from './headers.ts';
import { readResponse } from '../protocols/http-message.ts';
import type { Header, HttpMessage } from '../protocols/http-message.ts';
import type { Json } from './json.ts';

const VOLATILE_PARAMS: ReadonlyMap<string, string> = new Map([
  ['REMOTE_PORT', 'the client\'s port, another one each time'],
  ['REQUEST_TIME', 'time of the request'],
  ['REQUEST_TIME_FLOAT', 'time of the request'],
]);

const volatile = (name: string): string | undefined => VOLATILE_PARAMS.get(name)
  ?? (name.startsWith('HTTP_') ? VOLATILE.get(name.slice(5).toLowerCase().replaceAll('_', '-')) : undefined);

/** The request as a value, what is volatile left out; undefined when it can't be read. */
export function requestModel(bytes: Uint8Array): Json | undefined {
  const { types, role, params, stdin, rest } = readStreams(bytes);
  const pairs = readPairs(params);
  const named = new Map(pairs);
  if (named.size === 0 || named.size < pairs.length) return undefined;
  return {
    records: types.join(' '), role: role ?? null, params: Object.fromEntries(pairs.filter(([name]) => volatile(name) === undefined)),
    body: bodyModel({ bytes: stdin, type: named.get('CONTENT_TYPE') }), rest: shown(rest),
  };
}

export function compareRequests(part: string, recorded: Uint8Array, live: Uint8Array, out: Differences): boolean {
  const [a, b] = [readStreams(recorded), readStreams(live)];
  const [pairs, livePairs] = [readPairs(a.params), readPairs(b.params)];
  const [one, two] = [new Map(pairs), new Map(livePairs)];
  if (one.size === 0 || two.size === 0 || one.size < pairs.length || two.size < livePairs.length) return false;
  out.value(`${part}.records`, a.types.join(' '), b.types.join(' '));
  out.value(`${part}.role`, a.role, b.role);
  for (const name of new Set([...one.keys(), ...two.keys()])) {
    const [before, after] = [one.get(name), two.get(name)];
    const rule = before === after ? undefined : volatile(name);
    if (rule === undefined) out.value(`${part}.params${keyed(name)}`, before, after);
    else out.ignore(`${part}.params${keyed(name)}`, rule);
  }
  compareBody(`${part}.body`, { bytes: a.stdin, type: one.get('CONTENT_TYPE') }, { bytes: b.stdin, type: two.get('CONTENT_TYPE') }, out);
  compareBytes(`${part}.rest`, a.rest, b.rest, out);
  return true;
}

/** STDOUT and STDERR come interleaved as they were written; that both are there, and what ends it, is the same. */
const endOnly = (types: readonly number[]): string => [...new Set(types)].sort((a, b) => a - b).join(' ');

/** The CGI header's `Status: 404 Not Found` is a status line in another place (RFC 3875 §6.3.3). */
function asHttp(stdout: Uint8Array): Uint8Array {
  const text = Buffer.from(stdout.subarray(0, 1 << 16)).toString('latin1');
  const status = /^Status:[ \t]*(\d{3}[^\r\n]*)/im.exec(text.split(/\r?\n\r?\n/, 1)[0]!)?.[1];
  return Buffer.concat([Buffer.from(`HTTP/1.1 ${status ?? '200 OK'}\r\n`), stdout]);
}

export function compareResponses(part: string, recorded: Uint8Array, live: Uint8Array, out: Differences): boolean {
  const [a, b] = [readStreams(recorded), readStreams(live)];
  const [one, two] = [readResponse(asHttp(a.stdout), false), readResponse(asHttp(b.stdout), false)];
  if (one === undefined || two === undefined) return false;
  out.value(`${part}.status`, Number(one.start[1]), Number(two.start[1]));
  const headers = ({ headers: all }: HttpMessage): Header[] => all.filter(([name]) => name !== 'status');
  compareHeaders(`${part}.headers`, headers(one), headers(two), { lengthMatters: false }, out);
  const type = (all: readonly Header[]): string | undefined => all.find(([name]) => name === 'content-type')?.[1];
  compareBody(`${part}.body`, { bytes: one.body, type: type(one.headers) }, { bytes: two.body, type: type(two.headers) }, out);
  compareBytes(`${part}.stderr`, a.stderr, b.stderr, out);
  out.value(`${part}.records`, endOnly(a.types), endOnly(b.types));
  out.value(`${part}.appStatus`, a.appStatus, b.appStatus);
  out.value(`${part}.protocolStatus`, a.protocolStatus, b.protocolStatus);
  compareBytes(`${part}.rest`, a.rest, b.rest, out);
  return true;
}
