/** Stable names: the same recording gives the same ids, however often and however far it is derived. */
import { hash } from 'node:crypto';

/** The first 12 hex digits of SHA-256 over `recording/connection/position of the first request byte`. */
export function sessionId(recordingId: string, connection: string, position: number | string): string {
  return hash('sha256', `${recordingId}/${connection}/${position}`, 'hex').slice(0, 12);
}
