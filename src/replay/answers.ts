/** What a request is told, once it is known which recorded call it is, or that it is none. Pure. */
import type { Protocol, ProtocolName } from '../protocols/protocol.ts';
import type { OutboundTalk } from '../sessions/session.ts';
import type { RecordedCall } from './calls.ts';
import { endingOf, type Ending } from './ending.ts';
import { invented } from './invented.ts';
import { missAnswer } from './misses.ts';
import type { LiveCall } from './played.ts';

export interface Answer {
  readonly bytes: Uint8Array;
  /** What happens to the connection after them. */
  readonly then: Ending;
  /** It is an error of ours: nothing recorded answers the request. */
  readonly missed?: true;
  /** The live call that nothing recorded answers, for who asks elsewhere. */
  readonly call?: LiveCall;
  /** The recorded call whose answer it is, for who keeps its pace. */
  readonly talk?: OutboundTalk;
}

export const SILENCE: Answer = { bytes: new Uint8Array(0), then: 'keep' };

interface Asked {
  readonly destination: string;
  readonly protocol: ProtocolName;
  readonly bytes: Uint8Array;
  readonly oneway: boolean;
}

export class Answers {
  readonly #protocol: (name: ProtocolName) => Protocol | undefined;

  constructor(protocol: (name: ProtocolName) => Protocol | undefined) {
    this.#protocol = protocol;
  }

  /** The recorded answer, and the connection's end where that was a part of it. */
  recorded(call: RecordedCall): Answer {
    return { bytes: call.response, then: endingOf(call, this.#protocol), talk: call.talk };
  }

  /** A set-up request of a connection whose set-up was not recorded: agreed to. */
  agreed(request: Asked): Answer {
    const agreed = invented(request.protocol, request.bytes);
    return agreed === undefined ? this.miss(request) : { bytes: agreed, then: 'keep' };
  }

  /** Nothing recorded answers it: an error of its protocol, else the connection's end. */
  miss(request: Asked): Answer {
    if (request.oneway) return SILENCE;
    const bytes = missAnswer(request.protocol, `no recorded answer at ${request.destination} for ${this.summaryOf(request)}`);
    return bytes === undefined ? { bytes: new Uint8Array(0), then: 'reset', missed: true } : { bytes, then: 'keep', missed: true };
  }

  summaryOf({ protocol, bytes }: Asked): string {
    return this.#protocol(protocol)?.summarise(bytes, new Uint8Array(0)).text ?? `${bytes.length} bytes`;
  }
}
