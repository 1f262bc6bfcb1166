/**
 * HTTP/2 in the clear (RFC 9113), with prior knowledge of it: recognised by its preface, or in mid-life by a request that begins.
 * Its streams are cut apart by `http2-splitter.ts`; gRPC is HTTP/2 with its own content type, and its status in the trailers.
 */
import { startsWith } from './ascii.ts';
import { DEFAULT_MAX_FRAME_BYTES, FLAG, FRAME_HEAD_BYTES, frameFault, frameHead, PREFACE, TYPE, content } from './http2-frames.ts';
import { Http2Splitter } from './http2-splitter.ts';
import { Hpack } from './hpack.ts';
import type { Field } from './hpack.ts';
import { oneLine } from './one-line.ts';
import type { Fields, Protocol, Recognition, Summary } from './protocol.ts';
import { unsureFramer } from './unsure-framer.ts';

/** Frames looked at in mid-life to find a request that begins. */
const maxLookedAt = 16;
const GRPC = /^application\/grpc(?:[+;]|$)/;
/** By number (https://grpc.io/docs/guides/status-codes). */
const GRPC_STATUS = [
  'OK', 'CANCELLED', 'UNKNOWN', 'INVALID_ARGUMENT', 'DEADLINE_EXCEEDED', 'NOT_FOUND', 'ALREADY_EXISTS', 'PERMISSION_DENIED', 'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION', 'ABORTED', 'OUT_OF_RANGE', 'UNIMPLEMENTED', 'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS', 'UNAUTHENTICATED',
];

function recognise(client: Uint8Array, server: Uint8Array): Recognition {
  if (client.length === 0) return server.length === 0 || mayBeSettings(server) ? 'more' : 'no';
  if (startsWith(client, PREFACE)) return 'yes';
  return startsWith(PREFACE, client) ? 'more' : inMidLife(client);
}

/** A server may send its SETTINGS before it has read the preface. */
function mayBeSettings(server: Uint8Array): boolean {
  if (server.length < FRAME_HEAD_BYTES) return server[0] === 0 && (server[3] ?? TYPE.settings) === TYPE.settings;
  const head = frameHead(server, 0);
  return head.type === TYPE.settings && head.length <= 600 && frameFault(head, 'server', DEFAULT_MAX_FRAME_BYTES) === undefined;
}

/** Frames one after the other, one of them a request's head: its first block names a method by the table that all know. */
function inMidLife(client: Uint8Array): Recognition {
  let at = 0;
  for (let frames = 0; frames < maxLookedAt && at < client.length; frames += 1) {
    if (at + FRAME_HEAD_BYTES > client.length) return mayBeHead(client.subarray(at)) ? 'more' : 'no';
    const head = frameHead(client, at);
    if (head.type > TYPE.continuation || frameFault(head, 'client', DEFAULT_MAX_FRAME_BYTES) !== undefined) return 'no';
    const from = at + FRAME_HEAD_BYTES;
    at = from + head.length;
    if (head.type !== TYPE.headers) continue;
    if (at > client.length) return 'more';
    const block = content(head, client.subarray(from, at));
    const fields = block === undefined || (head.flags & FLAG.endHeaders) === 0 ? undefined : new Hpack(false).decode(block)?.fields;
    return fields !== undefined && valueOf(fields, ':method') !== undefined ? 'yes' : 'no';
  }
  return 'more';
}

function mayBeHead(bytes: Uint8Array): boolean {
  return bytes[0] === 0 && (bytes[3] ?? 0) <= TYPE.continuation && ((bytes[5] ?? 0) & 0x80) === 0;
}

const valueOf = (fields: readonly Field[], name: string): string | undefined => fields.find(([known]) => known === name)?.[1];
const lastOf = (fields: readonly Field[], name: string): string | undefined => fields.findLast(([known]) => known === name)?.[1];

export const isGrpc = ({ request, response }: Fields): boolean => GRPC.test(valueOf(request, 'content-type') ?? valueOf(response, 'content-type') ?? '');

function summarise(_request: Uint8Array, _response: Uint8Array, fields?: Fields): Summary {
  if (fields === undefined) return { text: 'HTTP/2' };
  const { request, response } = fields;
  const path = valueOf(request, ':path') ?? (valueOf(request, ':method') === 'CONNECT' ? valueOf(request, ':authority') : undefined) ?? '(path unknown)';
  const status = lastOf(response, ':status');
  const grpc = isGrpc(fields);
  const text = oneLine(`${grpc ? 'gRPC' : valueOf(request, ':method') ?? 'HTTP/2'} ${path}`);
  const code = lastOf(response, 'grpc-status');
  if (code !== undefined) return { text, status: GRPC_STATUS[Number(code)] ?? oneLine(code) };
  return status === undefined || (grpc && status === '200') ? { text } : { text, status };
}

export const http2: Protocol = {
  name: 'http2',
  recognise,
  framer: () => unsureFramer('HTTP/2 is cut by its streams'),
  splitter: (client) => new Http2Splitter(startsWith(client, PREFACE)),
  memory: 'none',
  summarise,
};
