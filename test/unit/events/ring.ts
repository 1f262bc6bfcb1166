/** Builds ring memory for tests: `struct sample`s as the kernel side writes them. */
import * as layout from '../../../src/events/layout.ts';

export interface SampleFields {
  readonly kind: number;
  readonly atNs?: bigint;
  readonly connection?: number;
  readonly direction?: number;
  readonly position?: bigint;
  /** By default the payload's size. */
  readonly length?: bigint;
  readonly cause?: number;
  readonly flags?: number;
  readonly context?: bigint;
  readonly tgid?: number;
  readonly tid?: number;
  readonly payload?: Uint8Array;
}

export interface Sample {
  readonly ring: Uint8Array;
  readonly view: DataView;
  readonly offset: number;
}

/** One sample, `before` bytes into its memory, with other bytes around it. */
export function sample(fields: SampleFields, before = 24): Sample {
  const payload = fields.payload ?? new Uint8Array(0);
  const ring = new Uint8Array(before + layout.SIZE_SAMPLE + payload.length + 16).fill(0xee);
  const view = new DataView(ring.buffer);
  view.setUint32(before + layout.OFFSET_SAMPLE_CAPTURED, payload.length, true);
  view.setUint8(before + layout.OFFSET_SAMPLE_KIND, fields.kind);
  view.setUint8(before + layout.OFFSET_SAMPLE_DIRECTION, fields.direction ?? 0);
  view.setUint8(before + layout.OFFSET_SAMPLE_CAUSE, fields.cause ?? 0);
  view.setUint8(before + layout.OFFSET_SAMPLE_FLAGS, fields.flags ?? 0);
  view.setBigUint64(before + layout.OFFSET_SAMPLE_AT_NS, fields.atNs ?? 0n, true);
  view.setBigUint64(before + layout.OFFSET_SAMPLE_CONNECTION, BigInt(fields.connection ?? 0), true);
  view.setBigUint64(before + layout.OFFSET_SAMPLE_POSITION, fields.position ?? 0n, true);
  view.setBigUint64(before + layout.OFFSET_SAMPLE_LENGTH, fields.length ?? BigInt(payload.length), true);
  view.setBigUint64(before + layout.OFFSET_SAMPLE_CONTEXT, fields.context ?? 0n, true);
  view.setUint32(before + layout.OFFSET_SAMPLE_TGID, fields.tgid ?? 0, true);
  view.setUint32(before + layout.OFFSET_SAMPLE_TID, fields.tid ?? 0, true);
  ring.set(payload, before + layout.SIZE_SAMPLE);
  return { ring, view, offset: before };
}

export interface OpenFields {
  readonly local: readonly number[];
  readonly remote: readonly number[];
  readonly localPort: number;
  readonly remotePort: number;
  readonly family: number;
  readonly role: number;
  readonly learnt: number;
  readonly path?: string;
  readonly comm?: string;
  readonly peer?: bigint;
  readonly ingressFrom?: bigint;
}

export function openPayload(fields: OpenFields): Uint8Array {
  const bytes = new Uint8Array(layout.SIZE_OPEN_PAYLOAD);
  const view = new DataView(bytes.buffer);
  bytes.set(fields.local, layout.OFFSET_OPEN_PAYLOAD_LOCAL);
  bytes.set(fields.remote, layout.OFFSET_OPEN_PAYLOAD_REMOTE);
  view.setUint16(layout.OFFSET_OPEN_PAYLOAD_LOCAL_PORT, fields.localPort, true);
  view.setUint16(layout.OFFSET_OPEN_PAYLOAD_REMOTE_PORT, fields.remotePort, true);
  view.setUint16(layout.OFFSET_OPEN_PAYLOAD_FAMILY, fields.family, true);
  view.setUint8(layout.OFFSET_OPEN_PAYLOAD_ROLE, fields.role);
  view.setUint8(layout.OFFSET_OPEN_PAYLOAD_LEARNT, fields.learnt);
  view.setUint32(layout.OFFSET_OPEN_PAYLOAD_NETNS, 4026531840, true);
  view.setUint32(layout.OFFSET_OPEN_PAYLOAD_SOCKET_INODE, 77, true);
  view.setBigUint64(layout.OFFSET_OPEN_PAYLOAD_INGRESS_FROM, fields.ingressFrom ?? 0n, true);
  bytes.set(Buffer.from(fields.path ?? ''), layout.OFFSET_OPEN_PAYLOAD_PATH);
  bytes.set(Buffer.from(fields.comm ?? ''), layout.OFFSET_OPEN_PAYLOAD_COMM);
  view.setBigUint64(layout.OFFSET_OPEN_PAYLOAD_PEER, fields.peer ?? 0n, true);
  return bytes;
}

export function closePayload(phase: number, error = 0, ingressFinal = 0n, egressFinal = 0n): Uint8Array {
  const bytes = new Uint8Array(layout.SIZE_CLOSE_PAYLOAD);
  const view = new DataView(bytes.buffer);
  view.setUint8(layout.OFFSET_CLOSE_PAYLOAD_PHASE, phase);
  view.setUint32(layout.OFFSET_CLOSE_PAYLOAD_ERROR, error, true);
  view.setBigUint64(layout.OFFSET_CLOSE_PAYLOAD_INGRESS_FINAL, ingressFinal, true);
  view.setBigUint64(layout.OFFSET_CLOSE_PAYLOAD_EGRESS_FINAL, egressFinal, true);
  return bytes;
}
