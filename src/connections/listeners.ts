/** Who listens where: decides the role of a connection that was there before the recorder. */
import type { Endpoint, ListenEvent } from '../events/event.ts';

/** Past that, the oldest are forgotten (their connections count as outbound where nothing else says otherwise). */
const maxListeners = 65_536;

export class Listeners {
  readonly #open = new Set<string>();

  event(event: ListenEvent): void {
    const key = keyOf(event.local.host, event.local.port, event.netns);
    this.#open.delete(key);
    if (!event.open) return;
    this.#open.add(key);
    if (this.#open.size > maxListeners) for (const oldest of this.#open) return void this.#open.delete(oldest);
  }

  /** A listener owned this local port. */
  owns(local: Endpoint, netns: number): boolean {
    if (local.host.startsWith('unix:')) return this.#open.has(keyOf(local.host, 0, netns));
    return [local.host, '0.0.0.0', '::'].some((host) => this.#open.has(keyOf(host, local.port, netns)));
  }
}

function keyOf(host: string, port: number, netns: number): string {
  return host.startsWith('unix:') ? host : `${netns} ${host} ${port}`;
}
