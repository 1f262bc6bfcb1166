/** What a scenario needs to know of a running service. */
import type { Dependency } from './dependency.ts';
import type { Asked } from './client.ts';

/** One watched program of a service: whose sessions are scored together. */
export interface Part {
  /** As the results table names it: `gunicorn gthread`. */
  readonly name: string;
  /** thread-per-request: every tie must be right and proven. event-loop: measured. */
  readonly discipline: 'thread-per-request' | 'event-loop';
  /** Its main process; children belong to it. */
  readonly pid: number;
  readonly dependencies: readonly Dependency[];
  /** The bytes of a session's answer as its HTTP client sees them, where they differ from what the process sent (FastCGI). */
  readonly answerBody?: (sent: Buffer) => Buffer;
}

export interface Service {
  /** Where clients connect, on 127.0.0.1. */
  readonly port: number;
  readonly keepAlive: boolean;
  readonly parts: readonly Part[];
  /** The index-th request of a load. */
  ask(rid: string, index: number): Asked;
  /** How many calls a request leads to, by the destination's kind: what the service is written to do. */
  expects(asked: Asked): Readonly<Partial<Record<Dependency['kind'], number>>>;
  stop(): Promise<void>;
}

/** Stops in the order given, all of them, and then throws the first error if there was one. */
export async function stopAll(stoppables: readonly { stop(): Promise<void> }[]): Promise<void> {
  const results = await Promise.allSettled(stoppables.map((each) => each.stop()));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}
