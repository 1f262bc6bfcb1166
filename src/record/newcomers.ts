/**
 * Processes that a filter chooses in the midst of their life (moved into a cgroup, begun to listen on a port, executed a file):
 * from that moment the kernel side records what they do. What they had before (listeners, connections, children) is looked
 * for here, soon after. So is who was not chosen because the kernel skipped the probe that follows forks, execs and filters.
 */
import { existsSync } from 'node:fs';
import type { Probes } from '../kernel/probes.ts';
import { withDescendants } from '../kernel/processes.ts';
import type { ProcessFacts } from '../kernel/processes.ts';
import { currentTargets } from './targets.ts';
import type { Targets } from './targets.ts';

/** What of the recorder is needed for it. */
export interface Following {
  counter(name: 'newcomers'): number;
  watch(processes: readonly ProcessFacts[]): void;
  declareLate(processes: number): void;
  readonly probes: Pick<Probes, 'missedFollowers' | 'watchedProcesses' | 'isWatched' | 'unwatch' | 'findExisting'>;
}

const LOOK_MS = 50;
/** At most this part of the time is spent looking: every look goes through all processes and their files. */
const SHARE = 0.1;

/** Looks whenever somebody new was chosen or may have been missed, until the returned function is called, which looks once more. */
export function followNewcomers(recorder: Following, targets: Targets): () => void {
  const { probes } = recorder;
  let seen = 0;
  let missed = 0;
  let nextMs = 0;
  const look = (): void => {
    const startedMs = performance.now();
    if (startedMs < nextMs) return;
    const newcomers = recorder.counter('newcomers');
    const skipped = probes.missedFollowers();
    const unsure = skipped !== missed;
    if (newcomers === seen && !unsure) return;
    seen = newcomers;
    missed = skipped;
    if (unsure) for (const tgid of probes.watchedProcesses()) if (!existsSync(`/proc/${tgid}`)) probes.unwatch(tgid);
    const chosen = currentTargets(targets);
    const found = unsure ? withDescendants(new Set([...probes.watchedProcesses(), ...chosen.map(({ tgid }) => tgid)])) : chosen;
    const fresh = found.filter(({ tgid }) => tgid !== process.pid && !probes.isWatched(tgid));
    recorder.watch(fresh);
    if (unsure && fresh.length > 0) recorder.declareLate(fresh.length);
    probes.findExisting();
    const endedMs = performance.now();
    nextMs = endedMs + (endedMs - startedMs) / SHARE;
  };
  const timer = setInterval(look, LOOK_MS);
  return () => {
    clearInterval(timer);
    nextMs = 0;
    look();
  };
}
