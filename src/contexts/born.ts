/**
 * A thread or a process that was started by somebody who worked for a session works for it too: a handler's threads, a
 * `curl` that it runs. But the thread of a pool was started in somebody's request as well, and works for anybody:
 *
 *   started for A   read A  start T      T: call, end   answer A         T's calls are A's
 *   a pool's        read A  start T      T: call (A's, B's, who knows) … T lives on
 *
 * What tells the two apart is the end: work that was started for a session is over with it, a pool's worker waits for more. So
 * such a tie is judged when its session has closed, and does not hold where the one that was started lives on, or would have, had
 * its process not ended. Until then it is the best answer there is. It ends for good when the thread takes a request of its own, or another session's answer.
 */
import type { Context, Job } from './context.ts';
import { evidenceOf, type Tie } from './tie.ts';
import type { Evidence } from './evidence.ts';

/** Who was started for a session, and by whom. */
export class Birth<J extends Job> {
  /** What its creator's call would have been tied by, had it made one then. */
  readonly creator: Tie<J>;
  readonly child: Context<J>;
  /** Of those that are started behind the same listener. */
  readonly starts: Starts | undefined;
  /** A process that has become another program: no creator's pool can be in there. */
  executed = false;

  constructor(creator: Tie<J>, child: Context<J>) {
    this.creator = creator;
    this.child = child;
    this.starts = creator.birth?.starts ?? creator.context.discipline?.starts;
  }

  get job(): J {
    return this.creator.job;
  }

  /** It ended by itself, or with a process that was started for a session. */
  get ended(): boolean {
    return this.child.ended && !this.cutShort;
  }

  /** It ended because its process did: whether it would have lived on is not known. */
  get cutShort(): boolean {
    return this.child.cutShort && !this.#isOfStartedProcess;
  }

  /** The first thread of a process that was started for a session, or started by such a one there. */
  get #isOfStartedProcess(): boolean {
    const { child: { tid, tgid }, creator: { context, birth } } = this;
    return tid === tgid || (context.tgid === tgid && birth !== undefined && birth.#isOfStartedProcess);
  }

  /** `early`: asked while the session goes on, when nobody can have outlived it yet. */
  holds(early: boolean): boolean {
    return (early || this.ended) && evidenceOf(this.creator, early) !== undefined;
  }

  /** It can't be a pool's: it is another program, or none that was started here ever lived on. */
  get isOneShot(): boolean {
    return this.executed || this.starts?.keepToSession === true;
  }
}

/** So many ended with their sessions, and none lived on: a pool's workers would have. */
const ENOUGH = 16;

/** Whether those that are started for the sessions of a listener end with them. */
export class Starts {
  #ended = 0;
  #outlived = false;

  /** Judged when the session has closed. */
  saw(ended: boolean): void {
    if (ended) this.#ended += 1;
    else this.#outlived = true;
  }

  get keepToSession(): boolean {
    return !this.#outlived && this.#ended >= ENOUGH;
  }
}

export const born: Evidence = {
  attribution: 'born',
  find(context, inLoop) {
    const { birth } = context;
    return inLoop || birth === undefined || birth.job.gone ? undefined : birth.job;
  },
  proves(context, call, job, { birth }) {
    if (birth === undefined || context.loops || !birth.holds(false) || !birth.isOneShot || !call.byOneThread || call.afterResponse) return false;
    const { creator } = birth;
    const evidence = evidenceOf(creator, false);
    return creator.alternatives.length === 0 && evidence?.proves(creator.context, { byOneThread: true, afterResponse: false }, job, creator) === true;
  },
};
