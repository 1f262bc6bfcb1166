/** HTTP traffic of a small service as samples: who tests lists and shows needs sessions. */
import * as layout from '../../../src/events/layout.ts';
import type { SegmentWriter } from '../../../src/store/writer.ts';
import { closePayload, openPayload } from '../events/ring.ts';
import { put } from './recordings.ts';

export const WEB = { tgid: 5, tid: 6 };
const text = new TextEncoder();

export function open(to: SegmentWriter, connection: number, role: 'inbound' | 'outbound', atNs: bigint, remotePort = 40_000 + connection): void {
  const inbound = role === 'inbound';
  const payload = openPayload({
    local: [127, 0, 0, 1], remote: [127, 0, 0, 1], localPort: inbound ? 8080 : 50_000 + (connection % 10_000), remotePort: inbound ? remotePort : 9000,
    family: 2, role: inbound ? layout.ROLE_INBOUND : layout.ROLE_OUTBOUND,
    learnt: inbound ? layout.LEARNT_ACCEPT : layout.LEARNT_CONNECT, comm: 'web',
  });
  put(to, { kind: layout.SAMPLE_OPEN, connection, atNs, ...WEB, payload });
}

export class Streams {
  readonly #positions = new Map<string, number>();

  said(to: SegmentWriter, connection: number, direction: 'ingress' | 'egress', said: string | Uint8Array, atNs: bigint, tid = WEB.tid): void {
    const payload = typeof said === 'string' ? text.encode(said) : said;
    const key = `${connection} ${direction}`;
    const position = this.#positions.get(key) ?? 0;
    this.#positions.set(key, position + payload.length);
    const number = direction === 'ingress' ? layout.DIRECTION_INGRESS : layout.DIRECTION_EGRESS;
    put(to, { kind: layout.SAMPLE_DATA, direction: number, connection, atNs, tgid: WEB.tgid, tid, position: BigInt(position), payload });
  }

  close(to: SegmentWriter, connection: number, atNs: bigint): void {
    const of = (direction: string): bigint => BigInt(this.#positions.get(`${connection} ${direction}`) ?? 0);
    const payload = closePayload(layout.CLOSE_DONE, 0, of('ingress'), of('egress'));
    put(to, { kind: layout.SAMPLE_CLOSE, connection, atNs, ...WEB, payload });
  }
}

/** One request on its own connection, one call to an upstream on another, the answer. Takes 1 ms. */
export function session(to: SegmentWriter, streams: Streams, number: number, atNs: bigint, path = `/orders/${number}`, status = 200): void {
  const [inbound, outbound] = [number * 2 + 1, number * 2 + 2];
  const answer = (of: string): string => `HTTP/1.1 ${status} Said\r\ncontent-length: ${of.length}\r\n\r\n${of}`;
  open(to, inbound, 'inbound', atNs);
  streams.said(to, inbound, 'ingress', `GET ${path} HTTP/1.1\r\nhost: shop\r\n\r\n`, atNs + 100_000n);
  open(to, outbound, 'outbound', atNs + 200_000n);
  streams.said(to, outbound, 'egress', `GET /stock/${number} HTTP/1.1\r\nhost: stock\r\n\r\n`, atNs + 300_000n);
  streams.said(to, outbound, 'ingress', answer(`stock of ${number}`), atNs + 500_000n);
  streams.close(to, outbound, atNs + 600_000n);
  streams.said(to, inbound, 'egress', answer(`order ${number}`), atNs + 800_000n);
  streams.close(to, inbound, atNs + 900_000n);
}
