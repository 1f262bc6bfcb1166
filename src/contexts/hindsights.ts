/** The kinds of evidence that look back, strongest first, made anew for each process. */
import type { Hindsight, Past } from './hindsight.ts';
import { Trace } from './trace.ts';

export function hindsights<J extends Past>(): readonly Hindsight<J>[] {
  return [new Trace<J>()];
}
