/**
 * A request as one value that is the same for all requests that ask the same of their protocol: what an index of recorded
 * calls is made of. Two values are equal exactly where `compareTalk` finds no difference between the requests.
 */
import type { ProtocolName } from '../protocols/protocol.ts';
import * as fastcgi from './fastcgi.ts';
import * as http from './http.ts';
import type { Json } from './json.ts';
import * as mysql from './mysql.ts';
import * as postgresql from './postgresql.ts';
import * as redis from './redis.ts';

const MODELS: Readonly<Record<string, (request: Uint8Array) => Json | undefined>> = {
  http: http.requestModel, redis: redis.requestModel, postgresql: postgresql.requestModel, mysql: mysql.requestModel, fastcgi: fastcgi.requestModel,
};

/** What a request asks. Bytes that the protocol can't read stand for themselves, as Latin-1. */
export function requestModel(request: Uint8Array, protocol: ProtocolName): Json {
  const model = Object.hasOwn(MODELS, protocol) ? MODELS[protocol]?.(request) : undefined;
  return model ?? { bytes: Buffer.from(request.buffer, request.byteOffset, request.byteLength).toString('latin1') };
}
