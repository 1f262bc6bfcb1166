/** What SIGINT and SIGTERM do to `attach`. */
import type { HeldChild } from '../record/child.ts';
import type { Recorder } from '../record/recorder.ts';

/** SIGINT and SIGTERM: the first ends the recording, the second ends it at once. CMD hears them too. */
export class Signals {
  readonly first: Promise<NodeJS.Signals>;
  #recorder: Recorder | undefined;
  #count = 0;
  readonly #listener: (signal: NodeJS.Signals) => void;

  constructor(child: HeldChild | undefined) {
    let tell: (signal: NodeJS.Signals) => void = () => undefined;
    this.first = new Promise((resolve_) => { tell = resolve_; });
    this.#listener = (signal) => {
      this.#count++;
      if (this.#count === 1) {
        // At a terminal CMD is in the foreground group and has had its own.
        if (!process.stdin.isTTY || signal !== 'SIGINT') child?.kill(signal);
        tell(signal);
      } else {
        this.#recorder?.abandon();
      }
    };
    process.on('SIGINT', this.#listener);
    process.on('SIGTERM', this.#listener);
  }

  /** It has started; what was signalled meanwhile holds. */
  started(recorder: Recorder): void {
    this.#recorder = recorder;
    if (this.#count > 1) recorder.abandon();
  }

  close(): void {
    process.off('SIGINT', this.#listener);
    process.off('SIGTERM', this.#listener);
  }
}
