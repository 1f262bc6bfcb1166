/** The Host of an HTTP request: whom it asks, by the name or the address that its client knows. */
import { NOTHING_MOVED, type Moved } from './moved.ts';

/** Further into a request it is not looked for. */
const MAX_HEAD_BYTES = 16 << 10;
const HOST = /\r?\nhost:[ \t]*([^\s]+)[ \t]*(?=\r?\n)/i;
const HTTP_PORT = 80;

/** Its value and where that stands in the bytes; undefined where there is none. */
export function hostField(request: Uint8Array): { readonly value: string; readonly from: number; readonly to: number } | undefined {
  const found = HOST.exec(Buffer.from(request.buffer, request.byteOffset, Math.min(request.byteLength, MAX_HEAD_BYTES)).toString('latin1'));
  const value = found?.[1];
  if (found === null || value === undefined) return undefined;
  const from = found.index + found[0].indexOf(value, found[0].indexOf(':'));
  return { value, from, to: from + value.length };
}

/** "HOST" or "HOST:PORT", an IPv6 address in brackets or not. */
function partsOf(value: string): { readonly host: string; readonly port?: number } {
  const parts = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(value);
  const host = (parts?.[1] ?? parts?.[2] ?? value).toLowerCase();
  return parts?.[3] === undefined ? { host } : { host, port: Number(parts[3]) };
}

/**
 * The request as it was asked where the dependency was recorded: `moved` says that it is elsewhere now, and its client says so in the
 * Host. `recorded`: the Host of all recorded requests to the destination, where they have the same.
 */
export function withRecordedHost(request: Uint8Array, moved: Moved = NOTHING_MOVED, recorded?: string): Uint8Array {
  const field = moved.length === 0 ? undefined : hostField(request);
  if (field === undefined) return request;
  const { host, port } = partsOf(field.value);
  const move = moved.find(({ live }) => live.host === host && (live.port === undefined || live.port === (port ?? HTTP_PORT)));
  if (move === undefined) return request;
  const shownPort = move.recorded.port === HTTP_PORT ? undefined : move.recorded.port ?? port;
  const shownHost = move.recorded.host.includes(':') ? `[${move.recorded.host}]` : move.recorded.host;
  const value = recorded ?? (shownPort === undefined ? shownHost : `${shownHost}:${shownPort}`);
  return Buffer.concat([request.subarray(0, field.from), Buffer.from(value, 'latin1'), request.subarray(field.to)]);
}
