/** Which session it is that came in by a connection, at a position of it: those in play, and those that are over until they are left. Late calls are known for theirs. */
import type { Play } from './play.ts';

/** Clients that are remembered. */
const MAX_CLIENTS = 4_096;
/** Sessions of one connection that are remembered. */
const MAX_ON_ONE = 16;

interface Placed<P> {
  readonly position: number;
  /** Absent once it was left: it is known that one began here, and nothing of it is held. */
  play: P | undefined;
}

interface Client<P> {
  /** Before it was dialled, µs, monotonic. */
  readonly sinceUs: number;
  readonly placed: readonly Placed<P>[];
}

export class ClientPlaces<P extends Pick<Play, 'over'> = Play> {
  readonly #clients = new Map<string, Client<P>>();

  /** `local`: our end, "IP:PORT". At 0 it is a new connection, whoever had these ends before. `sinceUs`: before `play` was begun, µs, monotonic. */
  know(local: string, position: number, play: P, sinceUs: number): void {
    const before = position === 0 ? undefined : this.#clients.get(local);
    this.#clients.delete(local);
    this.#clients.set(local, { sinceUs: before?.sinceUs ?? sinceUs, placed: [...(before?.placed ?? []).slice(-MAX_ON_ONE + 1), { position, play }] });
    if (this.#clients.size <= MAX_CLIENTS) return;
    for (const [oldest, its] of this.#clients) {
      if (its.placed.every((one) => one.play?.over !== false)) this.#clients.delete(oldest);
      if (this.#clients.size <= MAX_CLIENTS) return;
    }
  }

  /** Nobody asks for `play` any more, which was known by `local`. */
  leave(local: string, play: P): void {
    for (const one of this.#clients.get(local)?.placed ?? []) if (one.play === play) one.play = undefined;
  }

  /**
   * The session whose client's end of the connection is `client`, and whose request begins there at `position`; it may be over. Undefined once it was
   * left, where the service took that connection (`openedAtUs`) before the one was dialled that has the address now, or where it is no client of ours.
   */
  playOf(client: string, position: number, openedAtUs: number): P | undefined {
    const known = this.#clients.get(client);
    if (known === undefined || openedAtUs < known.sinceUs) return undefined;
    const { placed } = known;
    // One that is alone there is meant, also where the kernel side came late to the connection and counts otherwise.
    return placed.find((one) => one.position === position)?.play ?? (placed.length === 1 ? placed[0]?.play : undefined);
  }
}
