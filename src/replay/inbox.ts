/** Messages of a worker thread, waited for one at a time. */
import type { Worker } from 'node:worker_threads';

export class Inbox<Message extends { readonly kind: string }> {
  readonly #messages: Message[] = [];
  readonly #signal: AbortSignal;
  /** The worker is of no use any more. No promise: whoever waits for one as long as it lives is kept by it. */
  #failure: Error | undefined;
  #wake: () => void = () => undefined;
  /** Told of each message first; false for one that nobody waits for. */
  onMessage: (message: Message) => boolean = () => true;

  constructor(worker: Worker, signal: AbortSignal) {
    this.#signal = signal;
    worker.once('error', (error: Error) => { this.fail(error); });
    worker.on('message', (message: Message) => {
      if (!this.onMessage(message)) return;
      this.#messages.push(message);
      this.#wake();
    });
    signal.addEventListener('abort', () => { this.#wake(); });
  }

  /** Who waits, now or later, gets this error; of several the first. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.#wake();
  }

  /** The next message of that kind; undefined when the signal aborts or `boundMs` have passed. */
  async take<Kind extends Message['kind']>(kind: Kind, boundMs: number): Promise<Extract<Message, { kind: Kind }> | undefined> {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      this.#wake();
    }, boundMs);
    try {
      for (;;) {
        const at = this.#messages.findIndex((message) => message.kind === kind);
        if (at >= 0) return this.#messages.splice(at, 1)[0] as Extract<Message, { kind: Kind }>;
        if (isLate || this.#signal.aborted) return undefined;
        if (this.#failure !== undefined) throw this.#failure;
        await new Promise<void>((resolve) => { this.#wake = resolve; });
      }
    } finally {
      clearTimeout(timer);
    }
  }
}
