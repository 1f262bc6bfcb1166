/**
 * Which bytes of a TLS connection ask and which answer, as far as its records tell from outside (RFC 5246 §6.2, RFC 8446 §5):
 * only application data does. Handshakes, ChangeCipherSpec and alerts, however often they go to and fro, ask nothing.
 *
 * In TLS 1.3 what follows the hellos is disguised as application data (RFC 8446 §5.2), so the rest is told by order and length:
 *
 *   client's Finished   the record of just that length (RFC 8446 §4.4.4), in its first encrypted flight; else that whole flight
 *   alert               as long as an alert is (§6). A message of two bytes looks the same
 *   tickets             what the server says before the client has asked; or, of what it says first, two to four records of one length
 */
import type { Side, Turns } from './protocol.ts';

const HEADER_BYTES = 5;
const HANDSHAKE = 22, APPLICATION = 23, SERVER_HELLO = 2;
const SUPPORTED_VERSIONS = 43, TLS13 = 0x0304;
/** Cipher suites of TLS 1.3 (RFC 8446 §B.4): with SHA-384, and with a tag of 8 bytes. */
const AES_256_GCM_SHA384 = 0x1302, AES_128_CCM_8_SHA256 = 0x1305;
/** A ServerHello is a hundred bytes or two; post-quantum shares make it 1.2 KiB. */
const maxHelloBytes = 4096;
const minTickets = 2, maxTickets = 4, minTicketBytes = 60, maxTicketBytes = 2048;

interface Half {
  /** The header at hand, and how much of it is there. */
  readonly header: Uint8Array;
  headerBytes: number;
  /** Bytes of the record at hand that are still to come. */
  left: number;
}

const half = (): Half => ({ header: new Uint8Array(HEADER_BYTES), headerBytes: 0, left: 0 });

export class TlsTurns implements Turns {
  asked = false;
  everAsked = false;
  readonly #client = half();
  readonly #server = half();
  /** The server's first handshake bytes, until its hello is whole. */
  #hello: Uint8Array | undefined = new Uint8Array(0);
  /** TLS 1.3: lengths of the records that are no data. Undefined: an older TLS, or not known yet. */
  #disguised: { readonly finished: number; readonly alert: number } | undefined;
  /** TLS 1.3: where the client's encrypted handshake is. */
  #flight: 'to come' | 'begun' | 'over' = 'to come';
  /** TLS 1.3: the server has spoken since, so tickets are no more to come. */
  #ticketsPast = false;
  /** Lengths of the records that the server has answered with, the first few. */
  readonly #answers: number[] = [];

  push(side: Side, bytes: Uint8Array): boolean {
    if (side === 'server' && bytes.length > 0 && this.#flight === 'begun') this.#flight = 'over';
    const stream = side === 'client' ? this.#client : this.#server;
    let asks = false;
    for (let at = 0; at < bytes.length;) {
      if (stream.headerBytes < HEADER_BYTES) {
        stream.header[stream.headerBytes++] = bytes[at++]!;
        if (stream.headerBytes < HEADER_BYTES) continue;
        stream.left = stream.header[3]! << 8 | stream.header[4]!;
        if (this.#record(side, stream.header[0]!, stream.left)) asks = true;
      }
      const end = Math.min(bytes.length, at + stream.left);
      if (side === 'server' && this.#hello !== undefined && stream.header[0] === HANDSHAKE) this.#collect(bytes.subarray(at, end));
      stream.left -= end - at;
      at = end;
      if (stream.left === 0) stream.headerBytes = 0;
    }
    return asks;
  }

  gap(side: Side, length: number): boolean {
    const stream = side === 'client' ? this.#client : this.#server;
    if (stream.headerBytes < HEADER_BYTES || length > stream.left) return false;
    if (side === 'server') this.#hello = undefined;
    stream.left -= length;
    if (stream.left === 0) stream.headerBytes = 0;
    return true;
  }

  get answered(): boolean {
    return this.asked && this.#answers.length > 0 && !this.#onlyTickets();
  }

  #onlyTickets(): boolean {
    const answers = this.#answers;
    const length = answers[0] ?? 0;
    return this.#disguised !== undefined && !this.#ticketsPast && answers.length >= minTickets && answers.length <= maxTickets
      && length >= minTicketBytes && length <= maxTicketBytes && answers.every((one) => one === length);
  }

  /** True where the client asks by it. */
  #record(side: Side, type: number, length: number): boolean {
    if (type !== APPLICATION || length === this.#disguised?.alert) return false;
    if (side === 'client') return !this.#isFlight(length) && this.#asks();
    if (this.asked) {
      if (this.#answers.length <= maxTickets) this.#answers.push(length);
    } else if (this.#flight === 'over') this.#ticketsPast = true;
    return false;
  }

  #asks(): boolean {
    if (this.answered || !this.asked) {
      if (this.everAsked) this.#ticketsPast = true;
      this.#answers.length = 0;
    }
    this.asked = this.everAsked = true;
    return true;
  }

  #isFlight(length: number): boolean {
    if (this.#disguised === undefined || this.#flight === 'over') return false;
    this.#flight = length === this.#disguised.finished ? 'over' : 'begun';
    return true;
  }

  #collect(bytes: Uint8Array): void {
    const hello = this.#hello = Buffer.concat([this.#hello!, bytes]);
    if (hello.length < 4) return;
    const end = 4 + (hello[1]! << 16 | hello[2]! << 8 | hello[3]!);
    if (hello.length < end && hello.length < maxHelloBytes) return;
    this.#hello = undefined;
    if (hello[0] === SERVER_HELLO) this.#disguised = disguiseOf(hello.subarray(0, end));
  }
}

/** Undefined: it chose a TLS before 1.3, which disguises nothing. */
function disguiseOf(hello: Uint8Array): { finished: number; alert: number } | undefined {
  const word = (at: number): number => (hello[at] ?? 0) << 8 | (hello[at + 1] ?? 0);
  const suiteAt = 4 + 2 + 32 + 1 + (hello[38] ?? 0);
  for (let at = suiteAt + 2 + 1 + 2; at + 4 <= hello.length; at += 4 + word(at + 2)) {
    if (word(at) !== SUPPORTED_VERSIONS || word(at + 4) !== TLS13) continue;
    const suite = word(suiteAt);
    const around = 1 + (suite === AES_128_CCM_8_SHA256 ? 8 : 16); // the real type, and the tag
    return { finished: 4 + (suite === AES_256_GCM_SHA384 ? 48 : 32) + around, alert: 2 + around };
  }
  return undefined;
}
