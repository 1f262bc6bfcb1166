/** SegmentHeader of recording.proto: who recorded, where, and when, at the head of every segment. */
import { messageType } from '../events/message.ts';

/** How a process had been started; texts hold bytes as latin1. */
export interface Launch {
  readonly tgid: number;
  readonly args: readonly string[];
  /** NAME=VALUE. */
  readonly environment: readonly string[];
  readonly folder: string;
}

export interface SegmentHeader {
  readonly formatVersion: number;
  /** UUID text. */
  readonly recordingId: string;
  readonly sequence: number;
  readonly unixNs: bigint;
  readonly monotonicNs: bigint;
  readonly bootId: string;
  readonly host: string;
  readonly kernel: string;
  readonly probe: string;
  readonly koalaVersion: string;
  readonly filters: readonly string[];
  readonly continued: boolean;
  readonly connectionOffset: number;
  readonly highestConnection: number;
  readonly launches: readonly Launch[];
}

export const uuidBytes = (id: string): Uint8Array => Buffer.from(id.replaceAll('-', ''), 'hex');

export function uuidText(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

const long = (value: bigint) => ({ low: Number(BigInt.asIntN(32, value)), high: Number(value >> 32n) | 0, unsigned: true });

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const latin1 = (some: Uint8Array): string => Buffer.from(some).toString('latin1');

/** Length-delimited. */
export function encodeHeader(header: SegmentHeader): Uint8Array {
  return messageType('SegmentHeader').encodeDelimited({
    ...header, launches: header.launches.map(({ tgid, args, environment, folder }) => ({ tgid, args: args.map(bytes), environment: environment.map(bytes), folder: bytes(folder) })),
    recordingId: uuidBytes(header.recordingId), unixNs: long(header.unixNs), monotonicNs: long(header.monotonicNs),
  }).finish();
}

/** Throws what protobufjs throws on bytes that are none. */
export function decodeHeader(payload: Uint8Array): SegmentHeader {
  const type = messageType('SegmentHeader');
  const fields = type.toObject(type.decodeDelimited(payload), { longs: String, defaults: true, arrays: true }) as
    Record<string, unknown>;
  const text = (name: string): string => String(fields[name] ?? '');
  return {
    formatVersion: Number(fields.formatVersion), sequence: Number(fields.sequence),
    recordingId: uuidText(fields.recordingId as Uint8Array), unixNs: BigInt(text('unixNs')),
    monotonicNs: BigInt(text('monotonicNs')), bootId: text('bootId'), host: text('host'), kernel: text('kernel'),
    probe: text('probe'), koalaVersion: text('koalaVersion'), filters: (fields.filters as unknown[]).map(String),
    continued: fields.continued === true, connectionOffset: Number(fields.connectionOffset),
    highestConnection: Number(fields.highestConnection),
    launches: (fields.launches as Record<string, unknown>[]).map((launch) => ({
      tgid: Number(launch.tgid), args: (launch.args as Uint8Array[]).map(latin1), environment: (launch.environment as Uint8Array[]).map(latin1), folder: latin1(launch.folder as Uint8Array),
    })),
  };
}
