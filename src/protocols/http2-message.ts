/** What the frames of one stream carry, out of the bytes of one side of its talk. Stops at what it can't read; never throws. */
import { content, FRAME_HEAD_BYTES, frameHead, TYPE } from './http2-frames.ts';

const GRPC_PREFIX_BYTES = 5;

/** The body: what DATA frames hold, without padding. The end of a frame that is cut off is there as far as it goes. */
export function bodyOf(bytes: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  let at = 0;
  while (at + FRAME_HEAD_BYTES <= bytes.length) {
    const head = frameHead(bytes, at);
    const from = at + FRAME_HEAD_BYTES;
    at = from + head.length;
    const part = head.type === TYPE.data ? content(head, bytes.subarray(from, at)) : undefined;
    if (part !== undefined) parts.push(part);
  }
  return parts.length === 1 ? parts[0] as Uint8Array : Buffer.concat(parts);
}

export interface GrpcMessage {
  readonly compressed: boolean;
  readonly bytes: Uint8Array;
}

/** The messages of a gRPC body (length-prefixed: gRPC over HTTP2, "Length-Prefixed-Message"), and what is left over. */
export function grpcMessages(body: Uint8Array): { messages: GrpcMessage[]; rest: Uint8Array } {
  const messages: GrpcMessage[] = [];
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  let at = 0;
  while (at + GRPC_PREFIX_BYTES <= body.length) {
    const end = at + GRPC_PREFIX_BYTES + view.getUint32(at + 1);
    if (end > body.length) break;
    messages.push({ compressed: body[at] === 1, bytes: body.subarray(at + GRPC_PREFIX_BYTES, end) });
    at = end;
  }
  return { messages, rest: body.subarray(at) };
}
