/** koala-bpf as a person runs it: the command of the checkout, its exit status, its JSON lines. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { AmbientJson, ConnectionJson, SessionJson } from './contract.ts';

export const KOALA = fileURLToPath(new URL('../../bin/koala-bpf', import.meta.url));

export interface Ran {
  readonly exit: number | null;
  readonly stdout: string[];
  readonly stderr: string;
}

/** Runs one command to its end; stdout as lines. */
export async function koala(args: readonly string[], timeoutMs = 60_000): Promise<Ran> {
  const child = spawn(KOALA, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: timeoutMs });
  const stdout: string[] = [];
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text; });
  const lines = createInterface({ input: child.stdout, crlfDelay: Infinity });
  lines.on('line', (line) => stdout.push(line));
  const [exit] = await once(child, 'close') as [number | null];
  return { exit, stdout, stderr };
}

/** Like `koala`, but anything but exit 0 is an error that shows what it said. */
export async function koalaOk(args: readonly string[], timeoutMs?: number): Promise<string[]> {
  const ran = await koala(args, timeoutMs);
  if (ran.exit !== 0) throw new Error(`koala-bpf ${args.join(' ')}: exit ${ran.exit}\n${ran.stderr.slice(-2000)}`);
  return ran.stdout;
}

let refusal: Promise<string | undefined> | undefined;

/** Why nothing can be recorded on this host; undefined when it can. Only the environment's refusal counts, never our bug. */
export function whyNotRecordable(): Promise<string | undefined> {
  refusal ??= (async () => {
    if (process.getuid?.() !== 0) return 'recording needs root';
    const doctor = await koala(['doctor']);
    return doctor.exit === 3 ? `doctor: no probe backend works here: ${doctor.stderr || doctor.stdout.join('; ')}` : undefined;
  })();
  return refusal;
}

export interface Summary {
  readonly event: 'summary';
  readonly connections: number;
  readonly bytes: number;
  readonly lost: { readonly bytes: number; readonly byCause: Readonly<Record<string, number>> };
}

export class Recorder {
  readonly dir: string;
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  #stderr = '';

  private constructor(child: ChildProcess, dir: string) {
    this.dir = dir;
    this.#child = child;
    child.stderr!.setEncoding('utf8').on('data', (text: string) => { this.#stderr += text; });
    createInterface({ input: child.stdout! }).on('line', (line) => this.#lines.push(line));
  }

  /**
   * Attaches to these processes and their children; resolves when it records (probes live, open connections known).
   * The ring is four times the default: clients, service, dependencies and recorder share two cores here, and what these
   * tests ask is whether the truth is told, not how small a ring may be.
   */
  static async attach(pids: readonly number[], dir: string, flags: readonly string[] = []): Promise<Recorder> {
    const recorder = await Recorder.#start([...pids.flatMap((pid) => ['--pid', String(pid)]), ...flags], [], dir);
    // On a busy machine it is announced before everybody was asked.
    if (flags.includes('--instrument')) await recorder.#line('instrument', 90_000);
    return recorder;
  }

  /** Starts the command and records it from its first call on. */
  static run(command: readonly string[], dir: string, flags: readonly string[] = []): Promise<Recorder> {
    return Recorder.#start(flags, ['--', ...command], dir);
  }

  /** Like `attach`, but waits for nothing. */
  static start(pids: readonly number[], dir: string, flags: readonly string[] = []): Recorder {
    return Recorder.#spawn([...pids.flatMap((pid) => ['--pid', String(pid)]), ...flags], [], dir);
  }

  static async #start(targets: readonly string[], command: readonly string[], dir: string): Promise<Recorder> {
    const recorder = Recorder.#spawn(targets, command, dir);
    await recorder.#line('recording', 30_000);
    return recorder;
  }

  static #spawn(targets: readonly string[], command: readonly string[], dir: string): Recorder {
    const args = ['attach', ...targets, '--out', dir, '--json', '--ring-bytes', '64MiB', ...command];
    return new Recorder(spawn(KOALA, args, { stdio: ['ignore', 'pipe', 'pipe'] }), dir);
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** The lines of that event so far. */
  told(event: string): Readonly<Record<string, unknown>>[] {
    return this.#lines.map((line) => JSON.parse(line) as Record<string, unknown>).filter((line) => line['event'] === event);
  }

  /** What the recorder and its command said on stderr so far. */
  get said(): string {
    return this.#stderr;
  }

  /** SIGINT, as Ctrl-C: everything that happened before is in the recording. Exit status must be 0. */
  async stop(): Promise<Summary> {
    const closed = this.#child.exitCode === null ? once(this.#child, 'close') : Promise.resolve();
    this.#child.kill('SIGINT');
    const summary = await this.#line('summary', 60_000);
    await closed;
    if (this.#child.exitCode !== 0) throw new Error(`attach: exit ${this.#child.exitCode}\n${this.#stderr.slice(-2000)}`);
    return JSON.parse(summary) as Summary;
  }

  /** For `finally`: ends it if it still runs, the hard way. */
  kill(): void {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL');
  }

  async #line(event: string, timeoutMs: number): Promise<string> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const found = this.#lines.find((line) => (JSON.parse(line) as { event?: string }).event === event);
      if (found !== undefined) return found;
      const ended = this.#child.exitCode !== null || this.#child.signalCode !== null;
      if (ended || Date.now() > deadline) {
        this.kill();
        throw new Error(`attach ${ended ? `ended (${this.#child.exitCode ?? this.#child.signalCode})` : 'said nothing in time'} `
          + `before its "${event}" line; stderr:\n${this.#stderr.slice(-2000)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** Everything that was derived: sessions, and the talks of no session. */
export async function exported(dir: string): Promise<{ sessions: SessionJson[]; ambient: AmbientJson[] }> {
  const [sessions, ambient] = await Promise.all([
    koalaOk(['export', dir, '--format', 'json'], 120_000), koalaOk(['export', dir, '--format', 'json', '--ambient'], 120_000),
  ]);
  return {
    sessions: sessions.map((line) => JSON.parse(line) as SessionJson),
    ambient: ambient.map((line) => JSON.parse(line) as AmbientJson).filter((value) => 'ambient' in value),
  };
}

export async function connections(dir: string): Promise<ConnectionJson[]> {
  return (await koalaOk(['connections', dir, '--json'], 120_000)).map((line) => JSON.parse(line) as ConnectionJson);
}
