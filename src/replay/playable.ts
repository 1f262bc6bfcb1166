/** Which sessions can be played. Pure. */
import type { Session } from '../sessions/session.ts';
import { neverConnected } from './calls.ts';
import { failedLater } from './faults.ts';

/** The path of a "unix:/path" that can be played; undefined for anything else: an address, an abstract or a relative name. */
export function socketPath(destination: string): string | undefined {
  return destination.startsWith('unix:/') ? destination.slice('unix:'.length) : undefined;
}

/** Why a session can't be played, or undefined when it can. */
export function whyNot(session: Session, allowIncomplete: boolean): string | undefined {
  const { certificate, inbound, outbound, entry } = session;
  if (entry !== 'request') return `it began with a ${entry}, not with a request`;
  const tls = certificate.unseen.find(({ kind }) => kind === 'tls');
  if (inbound.connection.protocol === 'tls') return 'its request is TLS, which cannot be read yet';
  if (tls !== undefined || outbound.some(({ connection }) => connection.protocol === 'tls')) {
    return `TLS inside${tls?.detail === undefined ? '' : ` (${tls.detail})`}, which cannot be read yet`;
  }
  if (inbound.connection.protocol === 'http2') return 'its request is HTTP/2, which cannot be played yet';
  const streams = outbound.find(({ connection }) => connection.protocol === 'http2');
  if (streams !== undefined) return `it calls ${streams.connection.remote} over HTTP/2, which cannot be played yet`;
  const unix = outbound.filter(({ connection }) => connection.remote.startsWith('unix:'));
  const nowhere = unix.find(({ connection }) => socketPath(connection.remote) === undefined);
  if (nowhere !== undefined) return `it calls ${nowhere.connection.remote}; only unix sockets with an absolute path can be played`;
  const failed = unix.find(neverConnected);
  if (failed !== undefined) return `it failed to connect to ${failed.connection.remote}; that cannot be played yet`;
  const later = failedLater(session);
  if (later !== undefined) return `it failed to connect to ${later} after it had reached it; that cannot be played yet`;
  if (inbound.request.length === 0) return 'it has no request';
  if (certificate.state === 'complete' || allowIncomplete || lacksOnlyDatagrams(session)) return undefined;
  const lost = certificate.lost.reduce((sum, { bytes }) => sum + bytes, 0);
  const reasons = [
    ...(certificate.state === 'open' ? ['it was not over when the recording was read'] : []),
    ...(lost > 0 ? [`${lost} bytes missing (${[...new Set(certificate.lost.map(({ cause }) => cause))].join(', ')})`] : []),
    ...certificate.unseen.map(({ kind, count }) => `unseen: ${count} ${kind}`),
  ];
  return `incomplete: ${reasons.join('; ') || 'no proof that every byte is there'}; --allow-incomplete plays it`;
}

/** Datagrams that it sent, or others, and that nobody answered: they are not compared, and change nothing for it. */
function lacksOnlyDatagrams({ certificate: { state, lost, unseen } }: Session): boolean {
  return state === 'incomplete' && lost.length === 0 && unseen.length > 0 && unseen.every(({ kind }) => kind === 'udp-sent');
}
