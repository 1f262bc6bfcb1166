/** How a call was tied to its session, and how sure that is. */
export type Attribution =
  | 'thread' | 'born' | 'goroutine' | 'virtual-thread' | 'helper' | 'delegation' | 'trace' | 'handed-over'
  | 'continuation' | 'elimination' | 'content' | 'pattern' | 'runtime';
export type Certainty = 'proven' | 'likely';
