/** What a process does by itself: calls like those that it made while no request waited for an answer. */
import type { Spoken } from './spoken.ts';

const maxShapes = 1_024;
const maxShapeBytes = 96;

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

/** What calls have in common that differ only in values: whom it asks, and how that begins, without what does not print and words with a digit. */
function shapeOf(call: Spoken): string {
  const { host, port } = call.connection.open.remote;
  const bytes = call.request.pieces[0]?.bytes?.subarray(0, maxShapeBytes) ?? new Uint8Array(0);
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  return `${host}:${port} ${text.replace(/[^ -~]+/g, ' ').replace(/[\w-]*\d[\w-]*/g, '#')}`;
}
