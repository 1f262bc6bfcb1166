/** The library door: recordings, their sessions, and what they say. Everything else is internal and may change. */
export { CorruptError, EnvironmentError, UserError } from './errors.ts';
export type { Event } from './events/event.ts';
export type { ConnectionAccount } from './connections/account.ts';
export type { AmbientTalk, Session } from './sessions/session.ts';
export { Derivation } from './sessions/derivation.ts';
export { derive } from './sessions/derive.ts';
export { openRecording } from './store/recording.ts';
export { SegmentWriter } from './store/writer.ts';
