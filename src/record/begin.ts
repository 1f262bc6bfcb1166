/** The moment from which processes are recorded. */
import type { ProcessFacts } from '../kernel/processes.ts';
import type { Recorder } from './recorder.ts';
import { currentTargets, type Targets } from './targets.ts';

/** Watches whom `targets` mean now, and `held`, and finds the connections that they have; returns the former. */
export function beginWatching(recorder: Recorder, targets: Targets, held: readonly ProcessFacts[] = []): ProcessFacts[] {
  const chosen = currentTargets(targets);
  recorder.watch([...chosen, ...held]);
  // Children born while /proc was read are known to the kernel side; those born just before are not.
  const late = currentTargets(targets).filter(({ tgid }) => !recorder.probes.isWatched(tgid));
  recorder.watch(late);
  recorder.probes.findExisting();
  return [...chosen, ...late];
}
