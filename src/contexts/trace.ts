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
import type { WhyNot } from './reasons.ts';

export class Trace<J extends Past> implements Hindsight<J> {
  readonly attribution = 'trace';
  readonly refutes = true;
  readonly knows = true;

  proves(): boolean {
    return false;
  }

  find(call: OpenTalk, candidates: readonly J[]): Verdict<J> | undefined {
    const { ids } = call.marks;
    if (ids.length === 0) return undefined;
    for (const id of ids) {
      const found = named(id, call, candidates);
      if (found.length === 1) return { job: found[0] as J, alternatives: [] };
      if (found.length > 1) return undefined;
    }
    return undefined;
  }

  whyNot(call: OpenTalk, candidates: readonly J[]): WhyNot | undefined {
    return call.marks.ids.length > 0 && this.narrow(call, candidates).length < candidates.length ? 'named-by-several' : undefined;
  }

  /** Several may have the same id: then it is of one of them. */
  narrow(call: OpenTalk, candidates: readonly J[]): readonly J[] {
    for (const id of call.marks.ids) {
      const found = named(id, call, candidates);
      if (found.length > 0) return found;
    }
    return candidates;
  }
}

/** Those whose request has `id`; where there is none, those whose calls have. */
function named<J extends Past>(id: string, call: OpenTalk, candidates: readonly J[]): readonly J[] {
  const asked = candidates.filter((job) => job.talk.marks.ids.includes(id));
  return asked.length > 0 ? asked : candidates.filter((job) => job.calls.some((other) => other !== call && other.marks.ids.includes(id)));
}
