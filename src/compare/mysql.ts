/** MySQL: requests by command, statement text and parameters, answers packet by packet, text rows by their columns. */
import { readError, readPackets, type Packet } from '../protocols/mysql-packets.ts';
import { readParameters } from '../protocols/mysql-values.ts';
import { parametersIn } from '../protocols/sql-parameters.ts';
import { shown } from './bytes.ts';
import type { Differences } from './difference.ts';
import { compareJson } from './json.ts';
import type { Json } from './json.ts';

const QUERY = 3, PREPARE = 22, EXECUTE = 23;

function requestOf(body: Uint8Array, sequence: number): Json {
  const command = body[0] ?? 0;
  const rest = body.subarray(1);
  if (sequence > 0) return { packet: shown(body) };
  if (command === QUERY || command === PREPARE) return { command, statement: shown(rest) };
  if (command !== EXECUTE || rest.length < 9) return { command, argument: shown(rest) };
  // The types and values of the parameters can't be told apart without the PREPARE: compared as they stand.
  return { command, statementId: new DataView(rest.buffer, rest.byteOffset).getUint32(0, true), flags: rest[4]!, parameters: Buffer.from(rest.subarray(9)).toString('hex') };
}

/** The length-encoded texts that a packet consists of; undefined when it is made otherwise. */
function texts(body: Uint8Array): Json[] | undefined {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const found: Json[] = [];
  let at = 0;
  while (at < body.length) {
    const first = body[at++]!;
    if (first === 0xfb) {
      found.push(null);
      continue;
    }
    const size = first < 0xfb ? 0 : first === 0xfc ? 2 : first === 0xfd ? 3 : NaN;
    if (!(at + size <= body.length)) return undefined;
    const length = size === 0 ? first : size === 2 ? view.getUint16(at, true) : view.getUint16(at, true) | view.getUint8(at + 2) << 16;
    at += size;
    if (at + length > body.length) return undefined;
    found.push(shown(body.subarray(at, at + length)));
    at += length;
  }
  return found;
}

function responseOf(body: Uint8Array): Json {
  const error = readError(body);
  if (error !== undefined) return { error: error.code, state: error.state ?? null, message: error.message };
  return (body[0] === 0 || body[0] === 0xfe ? undefined : texts(body)) ?? { hex: Buffer.from(body).toString('hex') };
}

function compared(path: string, recorded: Json[], live: Json[], many: string, out: Differences): void {
  if (recorded.length === 1 && live.length === 1) compareJson(path, recorded[0]!, live[0]!, out);
  else compareJson(`${path}.${many}`, recorded, live, out);
}

const modelsOf = (bytes: Uint8Array): Json[] => {
  const packets = [...readPackets(bytes)];
  return execution(packets) ?? packets.map(({ body, sequence, missing }) => (missing > 0 ? { cut: shown(body), missing } : requestOf(body, sequence)));
};

/** A statement that is prepared and executed in one (as replay asks: it stands alone): its text, and its values one by one. */
function execution(packets: readonly Packet[]): Json[] | undefined {
  const [prepare, execute] = packets;
  if (packets.length !== 2 || prepare === undefined || execute === undefined || execute.missing > 0) return undefined;
  if (prepare.body[0] !== PREPARE || execute.body[0] !== EXECUTE || execute.sequence !== 0) return undefined;
  const statement = shown(prepare.body.subarray(1));
  const parameters = typeof statement === 'string' ? readParameters(execute.body, parametersIn(statement)) : undefined;
  return parameters === undefined ? undefined : [{ statement, flags: execute.body[5]!, parameters: parameters as Json[] }];
}

/** The packets as a value; undefined when there is none. */
export function requestModel(bytes: Uint8Array): Json | undefined {
  const packets = modelsOf(bytes);
  return packets.length === 0 ? undefined : packets;
}

export function compareRequests(part: string, recorded: Uint8Array, live: Uint8Array, out: Differences): boolean {
  const [a, b] = [modelsOf(recorded), modelsOf(live)];
  if (a.length === 0 || b.length === 0) return false;
  compared(part, a, b, 'packets', out);
  return true;
}

export function compareResponses(part: string, recorded: Uint8Array, live: Uint8Array, out: Differences): boolean {
  const read = (bytes: Uint8Array): Json[] => [...readPackets(bytes)].map(({ body, missing }) => (missing > 0 ? { cut: shown(body), missing } : responseOf(body)));
  compared(part, read(recorded), read(live), 'packets', out);
  return true;
}
