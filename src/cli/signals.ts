/** What SIGINT, SIGTERM and SIGHUP do to `attach`. */
import type { HeldChild } from '../record/child.ts';
import type { Recorder } from '../record/recorder.ts';

/** Node takes back, when it starts, that a signal is ignored: `bin/koala-bpf` tells us. */
const IGNORES_HANGUP = process.env['KOALA_HANGUP'] === 'ignored';
delete process.env['KOALA_HANGUP'];

/** What a copy of this command is told of that, in its environment. */
export const hangupIgnored = (): NodeJS.ProcessEnv => (IGNORES_HANGUP ? { KOALA_HANGUP: 'ignored' } : {});

/** Those that end a run in good order. Who was started to survive the end of its terminal (`nohup`) does. */
export function endingSignals(): readonly NodeJS.Signals[] {
  if (!IGNORES_HANGUP) return ['SIGINT', 'SIGTERM', 'SIGHUP'];
  process.on('SIGHUP', () => undefined);
  return ['SIGINT', 'SIGTERM'];
}

/** The first ends the recording, the second ends it at once. CMD hears them too. */
export class Signals {
  readonly first: Promise<NodeJS.Signals>;
  #recorder: Recorder | undefined;
  #count = 0;
  readonly #listener: (signal: NodeJS.Signals) => void;
  readonly #signals = endingSignals();

  constructor(child: HeldChild | undefined) {
    let tell: (signal: NodeJS.Signals) => void = () => undefined;
    this.first = new Promise((resolve_) => { tell = resolve_; });
    this.#listener = (signal) => {
      this.#count++;
      if (this.#count === 1) {
        // At a terminal CMD is in the foreground group and has had its own.
        if (!process.stdin.isTTY || signal === 'SIGTERM') child?.kill(signal);
        tell(signal);
      } else {
        this.#recorder?.abandon();
      }
    };
    for (const signal of this.#signals) process.on(signal, this.#listener);
  }

  /** It has started; what was signalled meanwhile holds. */
  started(recorder: Recorder): void {
    this.#recorder = recorder;
    if (this.#count > 1) recorder.abandon();
  }

  close(): void {
    for (const signal of this.#signals) process.off(signal, this.#listener);
  }
}
