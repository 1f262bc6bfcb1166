/** What happens to a connection after a recorded answer, where that was a part of it. Pure. */
import type { RecordedCall } from './calls.ts';
import type { Protocol, ProtocolName } from '../protocols/protocol.ts';

export type Ending = 'keep' | 'fin' | 'reset';

export function endingOf({ response, request, protocol: name, talk }: RecordedCall, protocol: (name: ProtocolName) => Protocol | undefined): Ending {
  if (talk.end?.kind !== 'reset' && name === 'fastcgi' && closesAfter(request)) return 'fin';
  if (talk.end?.by !== 'remote' || (talk.end.kind !== 'fin' && talk.end.kind !== 'reset')) return 'keep';
  const then = talk.end.kind === 'reset' ? 'reset' : 'fin';
  return isWholeAnswer(name, protocol(name), request, response) ? 'keep' : then;
}

/** An end that came after a whole answer (an idle time-out, say) is none of this answer's business. */
function isWholeAnswer(name: ProtocolName, protocol: Protocol | undefined, request: Uint8Array, response: Uint8Array): boolean {
  const closes = name === 'http' && /^connection:[^\r\n]*\bclose\b/im.test(headOf(response));
  return isWhole(protocol, request, response) && !closes;
}

/** Whether the protocol says that nothing of the answer is missing. */
export function isWhole(protocol: Protocol | undefined, request: Uint8Array, response: Uint8Array): boolean {
  const framer = protocol?.framer();
  if (framer === undefined || response.length === 0) return false;
  const frames: Parameters<typeof framer.push>[2] = [];
  framer.push('client', request, frames);
  framer.push('server', response, frames);
  const asked = frames.filter(({ role }) => role === 'request').length;
  return framer.sure && asked > 0 && frames.filter(({ role }) => role === 'response').length >= asked;
}

/** FastCGI 1.0, section 5.1: without FCGI_KEEP_CONN in FCGI_BEGIN_REQUEST the application closes after the answer, and clients wait for that. */
function closesAfter(request: Uint8Array): boolean {
  return request[1] === 1 && ((request[10] ?? 0) & 1) === 0;
}

function headOf(message: Uint8Array): string {
  const text = Buffer.from(message.buffer, message.byteOffset, Math.min(message.byteLength, 64 << 10)).toString('latin1');
  return text.slice(0, Math.max(0, text.search(/\r?\n\r?\n/)));
}
