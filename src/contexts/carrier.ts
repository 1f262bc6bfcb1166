/**
 * Carriers: threads of a JVM on which virtual threads take turns, so that each is an event loop. At times it is not known which of them one
 * carries (while objects are moved, and until the JVM is known), and what it does then is nobody's, and says nothing of what it does
 * otherwise: that is another context's, which says nothing, as those of a Go program's threads.
 *
 *   thread 7   carries 21, reads A   carries what is not known, calls   carries 22, calls
 *              its context           the other                          its context
 */
import { Context } from './context.ts';
import type { Job } from './context.ts';

/** What stands for a thread from here on that `context` has stood for. `known`: it carries a virtual thread, and which is known. */
export function carrierOf<J extends Job>(context: Context<J>, known: boolean): Context<J> {
  const { other } = context;
  if (other === undefined) return known ? found(context) : context;
  if (context.mute !== known) return context;
  // Whatever it read last, something else was done since.
  context.act();
  // That it has said itself.
  other.delegate = context.delegate;
  other.excluded = context.excluded;
  return other;
}

/** `thread` turns out to be a carrier's: what it did so far is nobody's. */
function found<J extends Job>(thread: Context<J>): Context<J> {
  const carrier = new Context<J>(thread.tid, thread.tgid);
  carrier.loop = true;
  carrier.delegate = thread.delegate;
  carrier.excluded = thread.excluded;
  carrier.other = thread;
  thread.other = carrier;
  thread.mute = true;
  return carrier;
}
