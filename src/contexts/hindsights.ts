/** The kinds of evidence that look back, strongest first, made anew for each process. */
import type { Allocation } from './allocation.ts';
import { Content } from './content.ts';
import type { Errands } from './errands.ts';
import type { HandedOver } from './handed-over.ts';
import type { Task } from './task.ts';
import type { Hindsight, Past } from './hindsight.ts';
import { Pattern } from './pattern.ts';
import type { Queue } from './queue.ts';
import { Siblings } from './siblings.ts';
import { Together } from './together.ts';
import { Trace } from './trace.ts';

/** `hide`: takes out of a text what content must not be judged by. `task`: is told which of Python's contexts was made in which; `allocation`: what threads of a JVM have allocated; `errands`: what its virtual threads were given to do; `handedOver`: who wakes whom; `queue`: who takes calls out. */
export function hindsights<J extends Past>(hide: ((text: string) => string) | undefined, task: Task<J>, allocation: Allocation<J>, errands: Errands<J>, handedOver: HandedOver<J>, queue: Queue<J>): readonly Hindsight<J>[] {
  return [task, allocation, new Trace<J>(), new Content<J>(hide), handedOver, new Together<J>(), errands, new Siblings<J>(), queue, new Pattern<J>()];
}
