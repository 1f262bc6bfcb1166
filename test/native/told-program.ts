/** A program of programs/ that says when it is ready, and goes on when it is told to. */
import { spawn } from 'node:child_process';
import { lineReader, type JsonLine, type LineReader } from './lines.ts';
import { patience } from './recorder.ts';

const READY_MS = 30_000;

export interface ToldProgram {
  readonly pid: number;
  readonly lines: LineReader;
  /** Tells it to go on; resolves with the first line that fits, of those past or to come. */
  go(fits: (line: JsonLine) => boolean, limitMs: number): Promise<JsonLine>;
  end(): void;
}

/** Resolves when it has said a line that `isReady`. */
export async function startTold(command: string, args: readonly string[], isReady: (line: JsonLine) => boolean): Promise<ToldProgram> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.on('error', () => undefined);
  const lines = lineReader(child.stdout);
  const end = (): void => void child.kill('SIGKILL');
  try {
    await lines.find(isReady, READY_MS * patience);
  } catch (error) {
    end();
    throw error;
  }
  return {
    pid: child.pid ?? 0,
    lines,
    go: (fits, limitMs) => {
      child.stdin.write('go\n');
      return lines.find(fits, limitMs * patience);
    },
    end,
  };
}
