/** What FastCGI records carry, out of the bytes of one talk. Stops at what it can't read; never throws. */
import { HEADER_BYTES, TYPE } from './fastcgi-framer.ts';

export interface FastcgiStreams {
  readonly params: Uint8Array;
  readonly stdin: Uint8Array;
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
  /** From END_REQUEST, where it is there. */
  readonly appStatus: number | undefined;
  readonly protocolStatus: number | undefined;
  /** Types of the records in order, runs of one type as one; BEGIN_REQUEST's role. */
  readonly types: readonly number[];
  readonly role: number | undefined;
  /** What could not be read any more. */
  readonly rest: Uint8Array;
}

export function readStreams(bytes: Uint8Array): FastcgiStreams {
  const parts = new Map<number, Uint8Array[]>();
  let appStatus: number | undefined;
  let protocolStatus: number | undefined;
  let role: number | undefined;
  const types: number[] = [];
  let at = 0;
  while (at + HEADER_BYTES <= bytes.length && bytes[at] === 1) {
    const type = bytes[at + 1]!;
    const length = bytes[at + 4]! << 8 | bytes[at + 5]!;
    if (at + HEADER_BYTES + length > bytes.length) break;
    const content = bytes.subarray(at + HEADER_BYTES, at + HEADER_BYTES + length);
    if (types.at(-1) !== type) types.push(type);
    if (type === TYPE.begin && content.length >= 2) role = content[0]! << 8 | content[1]!;
    if (type === TYPE.end && content.length >= 5) {
      appStatus = new DataView(content.buffer, content.byteOffset).getUint32(0);
      protocolStatus = content[4]!;
    }
    const known = parts.get(type);
    if (known === undefined) parts.set(type, [content]);
    else known.push(content);
    at += HEADER_BYTES + length + bytes[at + 6]!;
  }
  const stream = (type: number): Uint8Array => Buffer.concat(parts.get(type) ?? []);
  return {
    params: stream(TYPE.params), stdin: stream(TYPE.stdin), stdout: stream(TYPE.stdout), stderr: stream(TYPE.stderr),
    appStatus, protocolStatus, types, role, rest: bytes.subarray(Math.min(at, bytes.length)),
  };
}

/** The name-value pairs of a PARAMS stream (§3.4), in order; names and values as UTF-8 where they are. */
export function readPairs(params: Uint8Array): [string, string][] {
  const pairs: [string, string][] = [];
  const view = new DataView(params.buffer, params.byteOffset, params.length);
  let at = 0;
  const length = (): number => {
    if (at >= params.length) return NaN;
    if (params[at]! < 0x80) return params[at++]!;
    if (at + 4 > params.length) return NaN;
    at += 4;
    return view.getUint32(at - 4) & 0x7fffffff;
  };
  while (at < params.length) {
    const name = length();
    const value = length();
    if (!(at + name + value <= params.length)) break;
    pairs.push([Buffer.from(params.subarray(at, at + name)).toString(), Buffer.from(params.subarray(at + name, at + name + value)).toString()]);
    at += name + value;
  }
  return pairs;
}
