/** The host's unix sockets, kept from the SUT for as long as it runs: those of recorded dependencies lead to us, new ones are looked for. */
import { statSync } from 'node:fs';
import { EnvironmentError } from '../errors.ts';
import { HostSockets } from './host-sockets.ts';
import { hideSockets, leadToPlayed } from './mounts.ts';

/** How often sockets that began to listen on the host since are looked for. */
const HIDE_EVERY_MS = 1_000;

export class CoveredSockets {
  readonly #pid: number;
  readonly #bypassed: readonly string[];
  readonly #note: (text: string) => void;
  readonly #sockets = new HostSockets();
  /** Unix sockets of recorded dependencies that have no place in the SUT's mounts, and why. */
  #unplayable: ReadonlyMap<string, string> = new Map();
  #hiding: NodeJS.Timeout | undefined;

  /** `pid`: a process in the SUT's mount namespace. `bypassed`: paths that are let through. */
  constructor(pid: number, bypassed: readonly string[], note: (text: string) => void) {
    this.#pid = pid;
    this.#bypassed = bypassed;
    this.#note = note;
  }

  /** Before the SUT begins: the host's sockets can't be reached any more, those of recorded dependencies lead to us. */
  async cover(played: readonly string[]): Promise<void> {
    const left = await hideSockets(this.#pid, this.#hostSockets());
    for (const [path, why] of left) throw new EnvironmentError(`Cannot keep the service from the socket ${path}: ${why}`);
    this.#unplayable = await leadToPlayed(this.#pid, played);
    this.#hiding = setTimeout(() => { void this.#hideNew(); }, HIDE_EVERY_MS).unref();
  }

  /** Why the socket at `path` can't be played; undefined where it can. */
  whyNot(path: string): string | undefined {
    return this.#unplayable.get(path);
  }

  close(): void {
    clearTimeout(this.#hiding);
    this.#hiding = undefined;
  }

  /** Of the host, new since the last look, but for those that are let through. */
  #hostSockets(): string[] {
    const bypassed = new Set(this.#bypassed.flatMap((path) => fileOf(Buffer.from(path)) ?? []));
    return this.#sockets.look(this.#pid).filter((path) => bypassed.size === 0 || !bypassed.has(fileOf(Buffer.from(path, 'latin1')) ?? ''));
  }

  async #hideNew(): Promise<void> {
    try {
      const left = await hideSockets(this.#pid, this.#hostSockets());
      for (const [path, why] of left) this.#note(`the service could reach the socket ${path}: ${why}`);
      this.#hiding?.refresh();
    } catch {
      // The namespace is gone, and the service with it.
    }
  }
}

/** The same for every path that leads to one file; undefined where there is none. */
function fileOf(path: Buffer): string | undefined {
  try {
    const { dev, ino } = statSync(path);
    return `${dev} ${ino}`;
  } catch {
    return undefined;
  }
}
