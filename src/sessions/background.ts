/** What a process does by itself: calls like those that it made while no request waited for an answer. */
import { shapeOf } from '../contexts/shape.ts';
import type { Spoken } from './spoken.ts';

const maxShapes = 1_024;

export class Background {
  readonly #shapes = new Set<string>();

  /** `call` is of no session. */
  saw(call: Spoken): void {
    if (call.idle && this.#shapes.size < maxShapes) this.#shapes.add(shapeOf(call));
  }

  has(call: Spoken): boolean {
    return this.#shapes.size > 0 && this.#shapes.has(shapeOf(call));
  }
}
