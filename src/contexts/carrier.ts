/**
 * Carriers: threads of a JVM on which virtual threads take turns, so that each is an event loop, in which what is done first after a
 * read follows from it only where the same virtual thread does it. At times it is not known which of them one carries (while objects
 * are moved, and until the JVM is known), and what it does then is nobody's, and says nothing of what it does otherwise: that is
 * another context's, which says nothing, as those of a Go program's threads.
 *
 *   thread 7   carries 21, reads A   carries what is not known, calls   carries 22, calls
 *              its context           the other                          its context
 */
import { Context } from './context.ts';
import type { Job } from './context.ts';

/** What stands for a thread from here on that `context` has stood for. `virtual`: which it carries; 0: that is not known. */
export function carrierOf<J extends Job>(context: Context<J>, virtual: number): Context<J> {
  const { other } = context;
  if (other === undefined) return virtual !== 0 ? found(context, virtual) : context;
  const now = context.mute === (virtual === 0) ? context : other;
  // What follows from what one has read, that one does: who takes its turn now may have waited for it since before.
  if (context.carried !== virtual) context.act();
  context.carried = now.carried = virtual;
  if (now === context) return context;
  // That it has said itself.
  now.delegate = context.delegate;
  now.excluded = context.excluded;
  return now;
}

/** `thread` turns out to be a carrier's: what it did so far is nobody's. */
function found<J extends Job>(thread: Context<J>, virtual: number): Context<J> {
  const carrier = new Context<J>(thread.tid, thread.tgid);
  carrier.loop = true;
  carrier.carried = virtual;
  carrier.delegate = thread.delegate;
  carrier.excluded = thread.excluded;
  carrier.other = thread;
  thread.other = carrier;
  thread.mute = true;
  return carrier;
}
