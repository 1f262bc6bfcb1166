/** Follows what threads of pools do between a call and the wake-up of who waits for it; see src/contexts/handed-over.ts. */
import type { Context } from '../contexts/context.ts';
import { shortlyUs } from '../contexts/handed-over.ts';
import type { OpenSession } from './open-session.ts';
import type { Processes } from './processes.ts';
import type { Spoken } from './spoken.ts';

export class Handing {
  readonly #processes: Processes;

  constructor(processes: Processes) {
    this.#processes = processes;
  }

  /** `own` begins `call`. */
  calls(own: Context<OpenSession>, call: Spoken): void {
    if (own.mute) return;
    const { awaited } = own;
    if (own.requests === 0) this.#processes.of(own.tgid).queue.begins(call, own);
    own.done = own.awaited = undefined;
    if (awaited?.connection === call.connection) this.#processes.of(own.tgid).handedOver.waitedForConnection(awaited);
  }

  /** `own` reads of the answer to `call`. */
  answered(own: Context<OpenSession>, call: Spoken, atUs: number): void {
    if (call.writerTid !== own.tid || call.mixed || own.mute) return;
    own.done = call;
    own.doneAtUs = atUs;
  }

  /** `waker` wakes `sleeper`, which has waited since `sinceUs`. Who takes requests itself does not do what others hand over. */
  woke(waker: Context<OpenSession> | undefined, sleeper: Context<OpenSession> | undefined, sinceUs: number): void {
    const job = sleeper?.reading;
    if (waker?.done === undefined || waker.requests > 0 || sleeper === undefined || job === undefined || sleeper.loops || !sleeper.busy) return;
    this.#processes.of(waker.tgid).handedOver.woke(waker.done, job, waker.doneAtUs - sinceUs < shortlyUs);
    sleeper.awaited = waker.done;
  }
}
