/**
 * Processes that a filter chooses in the midst of their life (moved into a cgroup, begun to listen on a port, executed a file):
 * from that moment the kernel side records what they do. What they had before (listeners, connections, children) is looked
 * for here, soon after.
 */
import type { Recorder } from './recorder.ts';
import { currentTargets } from './targets.ts';
import type { Targets } from './targets.ts';

const LOOK_MS = 50;
/** At most this part of the time is spent looking: every look goes through all processes and their files. */
const SHARE = 0.1;

/** Looks whenever somebody new was chosen, until the returned function is called. */
export function followNewcomers(recorder: Recorder, targets: Targets): () => void {
  let seen = 0;
  let nextMs = 0;
  const look = (): void => {
    const newcomers = recorder.counter('newcomers');
    const startedMs = performance.now();
    if (newcomers === seen || startedMs < nextMs) return;
    seen = newcomers;
    recorder.watch(currentTargets(targets).filter(({ tgid }) => !recorder.probes.isWatched(tgid)));
    recorder.probes.findExisting();
    const endedMs = performance.now();
    nextMs = endedMs + (endedMs - startedMs) / SHARE;
  };
  const timer = setInterval(look, LOOK_MS);
  return () => clearInterval(timer);
}
