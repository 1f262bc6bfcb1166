/** The recorder's side of src/instrument/keeper.ts: one for each network namespace in which somebody is asked. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { networkOf } from '../kernel/processes.ts';
import type { Answer } from './asking.ts';

type Line = { readonly ready: boolean; readonly why?: string } | ({ readonly tgid: number } & Answer);

const CLOSE_MS = 5_000;

interface Keeper {
  readonly child: ChildProcess;
  readonly waiting: Map<number, (answer: Answer) => void>;
  refused: string | undefined;
}

export class Keepers {
  readonly #byNetwork = new Map<string, Keeper>();

  /** Whether that process is one of them: Node too, and none of the user's. */
  has(tgid: number): boolean {
    return [...this.#byNetwork.values()].some(({ child }) => child.pid === tgid);
  }

  /** Never rejects. */
  ask(tgid: number): Promise<Answer> {
    const network = networkOf(tgid);
    if (network === undefined) return Promise.resolve({ state: 'refused', why: 'it has ended' });
    const keeper = this.#byNetwork.get(network) ?? this.#start(network, tgid);
    if (keeper.refused !== undefined) return Promise.resolve({ state: 'refused', why: keeper.refused });
    return new Promise((resolve) => {
      keeper.waiting.set(tgid, resolve);
      keeper.child.stdin?.write(`${tgid}\n`);
    });
  }

  /** Those that were asked let go now. Fulfilled when the keepers have ended; one that is in a conversation is left to end by itself. */
  async close(): Promise<void> {
    await Promise.all([...this.#byNetwork.values()].map(async ({ child }) => {
      child.stdin?.end();
      if (child.exitCode !== null || child.signalCode !== null) return;
      const late = new AbortController();
      const timer = setTimeout(() => late.abort(), CLOSE_MS);
      await once(child, 'exit', { signal: late.signal }).catch(() => undefined);
      clearTimeout(timer);
      child.stdout?.destroy();
      child.unref();
    }));
    this.#byNetwork.clear();
  }

  #start(network: string, tgid: number): Keeper {
    const path = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? './keeper.ts' : './keeper.js', import.meta.url));
    // A session of its own: what ends the recorder's process group must not end a conversation in its midst.
    const child = spawn(process.execPath, [...process.execArgv, path, String(tgid)], { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
    const keeper: Keeper = { child, waiting: new Map(), refused: undefined };
    const giveUp = (why: string): void => {
      keeper.refused ??= why;
      for (const resolve of keeper.waiting.values()) resolve({ state: 'refused', why });
      keeper.waiting.clear();
    };
    child.stdin?.on('error', () => undefined);
    child.on('error', (error) => giveUp(error.message));
    child.on('exit', () => giveUp('the process that talks with it has ended'));
    createInterface({ input: child.stdout as NonNullable<typeof child.stdout> }).on('line', (text) => {
      const line = JSON.parse(text) as Line;
      if ('ready' in line) {
        if (!line.ready) giveUp(line.why ?? 'its network can\'t be entered');
        return;
      }
      const { tgid: of, ...answer } = line;
      keeper.waiting.get(of)?.(answer);
      keeper.waiting.delete(of);
    });
    this.#byNetwork.set(network, keeper);
    return keeper;
  }
}
