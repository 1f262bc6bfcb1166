/** One side of an HTTP/2 talk as lines: its header fields, and its body without the frames around it. */
import type { Field } from '../protocols/hpack.ts';
import { bodyOf, grpcMessages } from '../protocols/http2-message.ts';
import { hexdump, oneLine, readableText, size, textLines } from './text.ts';

/** `bytes`: of the side, up to the first that is missing. */
export function http2Lines(fields: readonly Field[], unknown: string | undefined, grpc: boolean, bytes: Uint8Array): string[] {
  const body = bodyOf(bytes);
  return [
    ...fields.map(([name, value]) => `${oneLine(name)}: ${oneLine(value)}`),
    ...(unknown === undefined ? [] : [`[some header fields are not known: ${unknown}]`]),
    ...(body.length === 0 ? [] : grpc ? grpcLines(body) : ['', ...bodyLines(body)]),
  ];
}

function grpcLines(body: Uint8Array): string[] {
  const { messages, rest } = grpcMessages(body);
  return [
    ...messages.flatMap(({ compressed, bytes }) => ['', `[message of ${size(bytes.length)}${compressed ? ', compressed' : ''}]`, ...bodyLines(bytes)]),
    ...(rest.length === 0 ? [] : ['', `[${size(rest.length)} of a message that is not whole]`, ...bodyLines(rest)]),
  ];
}

function bodyLines(bytes: Uint8Array): string[] {
  if (bytes.length === 0) return [];
  const text = readableText(bytes);
  return text === undefined ? hexdump(bytes) : textLines(text);
}
