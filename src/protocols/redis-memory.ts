/** Of a Redis connection: whether a MULTI was seen. What is queued in one, and its EXEC, means nothing without. */
import type { Memory } from './memory.ts';
import { readCommands } from './redis-value.ts';

const QUEUED = Buffer.from('+QUEUED\r\n');

export class RedisMemory implements Memory {
  #multi = false;

  hear(request: Uint8Array, response: Uint8Array): boolean {
    const [command] = readCommands(request, 1).commands;
    const word = Buffer.from(command?.[0] ?? []).toString('latin1').toUpperCase();
    const ends = word === 'EXEC' || word === 'DISCARD';
    const alone = this.#multi || !(ends || Buffer.compare(response.subarray(0, QUEUED.length), QUEUED) === 0);
    if (word === 'MULTI') this.#multi = true;
    else if (ends) this.#multi = false;
    return alone;
  }
}
