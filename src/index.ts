/**
 * The library's door: open a recording, walk its events, derive its sessions.
 *
 *     const recording = openRecording('rec');
 *     for (const one of derive(recording.events(), { recordingId: recording.id })) {
 *       if (one.kind === 'session') console.log(one.session.id, one.session.certificate.state);
 *     }
 *
 * What is exported here is kept compatible within a major version; what lies behind it is not. Times are Unix µs, bytes
 * Uint8Array. Errors: UserError (a wrong path), EnvironmentError (this host refuses), CorruptError (nothing is readable).
 */
export { CorruptError, EnvironmentError, UserError } from './errors.ts';
export type { Event } from './events/event.ts';
export { PROTOCOLS, recognise } from './protocols/index.ts';
export type { Frame, Framer, Protocol, Recognition, Side, Summary } from './protocols/index.ts';
export { Derivation } from './sessions/derivation.ts';
export type { DerivationOptions } from './sessions/derivation.ts';
export { derive } from './sessions/derive.ts';
export type { Derived } from './sessions/derive.ts';
export type {
  AmbientTalk, Attribution, Certainty, Certificate, Chunk, ConnectionAccount, LostBytes, OutboundTalk, Prologue,
  Session, StreamAccount, Talk, TalkConnection, TalkEnd, Unseen,
} from './sessions/session.ts';
export { openRecording } from './store/recording.ts';
export type { ReadOptions, Recording, Status } from './store/recording.ts';
