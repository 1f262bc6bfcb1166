/** `attach --instrument`: what is told of it, to people and to scripts. */
import { NodeInstrument } from '../instrument/node.ts';
import type { Told } from '../instrument/node.ts';
import type { Recorder } from '../record/recorder.ts';
import { say } from './output.ts';

export const RUNTIMES = ['node'] as const;

const WORDS: Readonly<Record<Told['state'], string>> = {
  on: 'is asked whose each call is', refused: 'is not asked', off: 'is asked no more: nothing of it is left', left: 'was told to let go, and has not',
};

/** Undefined where no runtime is to be asked. `json`: lines on stdout (docs/json.md). */
export function instrumentOf(runtimes: readonly string[] | undefined, recorder: Recorder, all: boolean, json: boolean): NodeInstrument | undefined {
  if (runtimes === undefined || runtimes.length === 0) return undefined;
  return new NodeInstrument({
    watched: () => all ? undefined : recorder.probes.watchedProcesses(),
    tell: (told) => {
      if (json) process.stdout.write(`${JSON.stringify({ event: 'instrument', runtime: 'node', ...told })}\n`);
      say(line(told));
    },
  });
}

export function line({ tgid, command, state, why }: Told): string {
  return `koala-bpf: --instrument node: ${command} (${tgid}) ${WORDS[state]}${why === undefined ? '' : `: ${why}`}`;
}
