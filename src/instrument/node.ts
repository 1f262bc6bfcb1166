/**
 * `--instrument node`: every Node process among the watched ones is asked for its requests' calls, those that are there and
 * those that come. Nothing here can keep the recorder from recording.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { allProcesses, executableOf, processFacts, startTicksOf } from '../kernel/processes.ts';
import { udpSockets } from '../kernel/tcp-table.ts';
import { ASKED } from './address.ts';
import type { Answer } from './asking.ts';
import { isNode } from './candidate.ts';
import { isNodeName } from './node-name.ts';
import { Keepers } from './keepers.ts';

/** What is told of a process: it is asked (`on`), and why not (`refused`), has let go (`off`), has not (`left`). */
export interface Told {
  readonly tgid: number;
  readonly command: string;
  readonly state: 'on' | 'refused' | 'off' | 'left';
  readonly why?: string;
}

export interface NodeInstrumentOptions {
  /** Who is watched now; undefined: everybody. */
  readonly watched: () => readonly number[] | undefined;
  readonly tell: (told: Told) => void;
}

const LOOK_MS = 200;
/** Recording begins meanwhile, and is announced no later for that. */
const BEGIN_MS = 15_000;
/** Hooks look for us twice a second, when the service's event loop comes round. */
const LET_GO_MS = 5_000;
const POLL_MS = 50;

interface Asked {
  readonly tgid: number;
  readonly command: string;
  readonly answer: Promise<Answer>;
}

export class NodeInstrument {
  readonly #options: NodeInstrumentOptions;
  readonly #keepers = new Keepers();
  /** By process and executable: a process that becomes Node is another one. */
  readonly #asked = new Map<string, Asked>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: NodeInstrumentOptions) {
    this.#options = options;
  }

  /** Looks for whom to ask until `close`. Fulfilled when those that are there now have answered, or after BEGIN_MS; how many are asked by then. */
  async begin(): Promise<number> {
    let asked = 0;
    this.#look();
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    const all = Promise.all([...this.#asked.values()].map(async ({ answer }) => { if ((await answer).state === 'on') asked += 1; }));
    const waited = new AbortController();
    await Promise.race([all, sleep(BEGIN_MS, undefined, { signal: waited.signal }).catch(() => undefined)]);
    waited.abort();
    return asked;
  }

  /** All let go. Fulfilled when they have, or after LET_GO_MS. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#keepers.close();
    await Promise.all([...this.#asked.values()].map((asked) => this.#letGo(asked)));
    this.#asked.clear();
  }

  #look(): void {
    const watched = this.#options.watched() ?? allProcesses().map(({ tgid }) => tgid);
    for (const tgid of watched) {
      const path = executableOf(tgid);
      if (tgid === process.pid || !isNodeName(path)) continue;
      const key = `${tgid} ${startTicksOf(tgid)} ${path}`;
      if (this.#asked.has(key)) continue;
      const facts = processFacts(tgid);
      if (facts !== undefined && !this.#keepers.has(tgid)) this.#ask(key, tgid, facts.command);
    }
  }

  #ask(key: string, tgid: number, command: string): void {
    const answer = this.#answer(tgid);
    this.#asked.set(key, { tgid, command, answer });
    void answer.then((given) => this.#options.tell({ tgid, command, state: given.state, ...(given.state === 'refused' ? { why: given.why } : {}) }));
  }

  async #answer(tgid: number): Promise<Answer> {
    try {
      if (!isNode(tgid)) return { state: 'refused', why: 'it is called node, but is not Node' };
    } catch {
      return { state: 'refused', why: 'it has ended' };
    }
    return this.#keepers.ask(tgid);
  }

  /** Its hooks speak from a UDP port, and close it last. */
  async #letGo({ tgid, command, answer }: Asked): Promise<void> {
    const given = await answer;
    if (given.state !== 'on') return;
    const endMs = performance.now() + LET_GO_MS;
    while (holdsUdpPort(tgid, given.port)) {
      if (performance.now() > endMs) {
        return this.#options.tell({ tgid, command, state: 'left', why: `its event loop did not come round within ${LET_GO_MS / 1000} s; it lets go by itself when it does` });
      }
      await sleep(POLL_MS);
    }
    this.#options.tell({ tgid, command, state: 'off' });
  }
}

function holdsUdpPort(tgid: number, port: number): boolean {
  return udpSockets(tgid).some(({ local, remote }) => local.port === port && remote.host === ASKED.host && remote.port === ASKED.port);
}
