/** What is kept of an outbound talk while it is not decided whose it is. */
import type { OpenSession } from './open-session.ts';
import type { Process } from './processes.ts';

const NONE: readonly OpenSession[] = [];

export class InDoubt {
  readonly home: Process;
  /** Number of the event since which it has no tie, and of the one at which it was known to be a call. */
  readonly sinceSeq: number;
  countedSeq = 0;
  /** That was because the thread lived on (a pool's): those that it worked for since may have been given out by then, so it is not believed to be that session's again. */
  outlived = false;
  /** It was looked at when its turn came, or before that for the sake of others. */
  ripe = false;
  /** Some evidence has said whose it is. */
  judged = false;
  /** Since when it is over, Unix µs. */
  overAtUs = 0;
  /** The session that it was tied to, until its thread turned out to be a loop, or the like; and those for which it counts as fallen. */
  readonly fellFrom: OpenSession | undefined;
  fallenFor: readonly OpenSession[] = NONE;

  constructor(home: Process, sinceSeq: number, fellFrom?: OpenSession) {
    this.home = home;
    this.sinceSeq = sinceSeq;
    this.fellFrom = fellFrom;
  }
}
