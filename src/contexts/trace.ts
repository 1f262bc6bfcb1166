/**
 * A call that carries the trace id (or request id) of exactly one session that was open then is that session's. Said by the
 * application, not seen in the kernel: an id may be kept too long, or handed to the wrong work, and callers repeat theirs. So
 * it is never proof; but it is better than what an event loop read last.
 *
 * A session's ids are those of its request. Where no session's request has a call's id (the service begins the trace itself),
 * it is of the one session whose calls carry it.
 */
import type { OpenTalk } from '../talks/open-talk.ts';
import type { Hindsight, Past, Verdict } from './hindsight.ts';

export class Trace<J extends Past> implements Hindsight<J> {
  readonly attribution = 'trace';
  readonly refutes = true;

  proves(): boolean {
    return false;
  }

  find(call: OpenTalk, candidates: readonly J[]): Verdict<J> | undefined {
    const { ids } = call.marks;
    if (ids.length === 0) return undefined;
    for (const id of ids) {
      const asked = candidates.filter((job) => job.talk.marks.ids.includes(id));
      const found = asked.length > 0 ? asked : candidates.filter((job) => job.calls.some((other) => other !== call && other.marks.ids.includes(id)));
      if (found.length === 1) return { job: found[0] as J, alternatives: [] };
      if (found.length > 1) return undefined;
    }
    return undefined;
  }
}
