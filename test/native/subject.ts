/**
 * Processes that do what a test tells them (programs/subject.py), and a sink that writes down what it was told: the truth
 * against which a recording is held. A word said to the sink is seen by the sink whoever is recorded.
 */
import { execFileSync, spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { createReadStream, createWriteStream } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { openRecording } from '../../src/store/recording.ts';
import type { Event } from '../../src/events/event.ts';
import { lineReader } from './lines.ts';
import { project } from './compiled.ts';
import { patience } from './recorder.ts';

export const program = join(project, 'test/native/programs/subject.py');
export const python = execFileSync('python3', ['-c', 'import sys; print(sys.executable)'], { encoding: 'utf8' }).trim();

export interface Subject {
  readonly pid: number;
  /** Runs lines of Python in it; answers what they put into `answer`. Rejects with what they raised. */
  run(code: string): Promise<unknown>;
  /** As `run`, for the id of a process or a port. */
  number(code: string): Promise<number>;
  /** A child by fork(2), told by itself. */
  fork(): Promise<Subject>;
  /** Ends its input, so that it exits; resolves when it has. */
  end(): Promise<void>;
  kill(): void;
}

let forks = 0;

function subjectOf(pid: number, input: Writable, output: Readable, folder: string, child: ChildProcess | undefined): Subject {
  const lines = lineReader(output);
  input.on('error', () => undefined);
  let asked = 0;
  const gone = child === undefined ? lines.ended : new Promise<void>((resolve) => { child.once('exit', () => resolve()); });
  const self: Subject = {
    pid,
    async run(code) {
      input.write(`${JSON.stringify(code)}\n`);
      const turn = asked++;
      await lines.find(() => lines.all.length > turn, 30_000 * patience);
      const told = lines.all[turn] ?? {};
      if (typeof told['error'] === 'string') throw new Error(`${code}: ${told['error']}`);
      return told['answer'];
    },
    async number(code) {
      const answer = await self.run(code);
      if (typeof answer !== 'number') throw new Error(`${code}: ${JSON.stringify(answer)} is no number`);
      return answer;
    },
    async fork() {
      const name = `fork-${process.pid}-${++forks}`;
      execFileSync('mkfifo', ['-m', '666', join(folder, `${name}.in`), join(folder, `${name}.out`)]);
      const born = await self.number(`answer = fork(${JSON.stringify(folder)}, ${JSON.stringify(name)})`);
      return subjectOf(born, createWriteStream(join(folder, `${name}.in`)), createReadStream(join(folder, `${name}.out`)), folder, undefined);
    },
    async end() {
      input.end();
      await gone;
    },
    kill() {
      try {
        process.kill(pid, 'SIGKILL');
      } catch { /* it has gone */ }
    },
  };
  return self;
}

/** Starts one. `folder`: where its forks are talked to. `argv`: how, if not by the Python that is in PATH. */
export function startSubject(folder: string, argv: readonly string[] = [python, program], options: SpawnOptions = {}): Subject {
  const child = spawn(argv[0] ?? '', argv.slice(1), { ...options, stdio: ['pipe', 'pipe', 'inherit'] });
  if (child.stdin === null || child.stdout === null) throw new Error('subject without pipes');
  return subjectOf(child.pid ?? 0, child.stdin, child.stdout, folder, child);
}

export interface Sink {
  readonly port: number;
  /** What every connection said, in the order of their ends. */
  readonly heard: readonly string[];
  close(): void;
}

/** Listens on loopback and writes down what each connection says. */
export async function startSink(): Promise<Sink> {
  const heard: string[] = [];
  const server = createServer((connection) => {
    let text = '';
    connection.setEncoding('latin1').on('data', (more: string) => { text += more; });
    connection.on('end', () => { connection.end(); });
    connection.on('close', () => { heard.push(text); });
    connection.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('sink without a port');
  return { port: address.port, heard, close: () => void server.close() };
}

export function eventsOf(dir: string): Event[] {
  return [...openRecording(dir).events()];
}

/** What was sent to the sink according to the recording, one text per connection, sorted. */
export function recordedWords(dir: string, port: number): string[] {
  const texts = new Map<number, string>();
  for (const event of eventsOf(dir)) {
    if (event.kind === 'open' && event.remote.port === port && event.role === 'outbound') texts.set(event.connection, '');
    else if (event.kind === 'data' && event.direction === 'egress' && texts.has(event.connection)) {
      texts.set(event.connection, (texts.get(event.connection) ?? '') + Buffer.from(event.bytes).toString('latin1'));
    }
  }
  return [...texts.values()].sort();
}

/** Waits until `holds`, looking every 20 ms. */
export async function until(holds: () => boolean, what: string, limitMs = 20_000 * patience): Promise<void> {
  const end = performance.now() + limitMs;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`${what}: not within ${limitMs} ms`);
    await new Promise((done) => setTimeout(done, 20));
  }
}
