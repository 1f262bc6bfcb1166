/** One side of a connection that is cut by streams: the part at hand, and what waits until it is known whose it is. */
import { endOf, trimEnd, trimStart } from '../connections/piece.ts';
import type { Piece } from '../connections/piece.ts';
import type { PartRole } from '../protocols/splitter.ts';
import type { Run, RunLimits } from './run.ts';

interface Part<T> {
  /** Undefined: the connection's own, and no prologue. */
  readonly talk: T | undefined;
  /** Stream position. */
  readonly end: number;
  readonly role: PartRole;
}

export class Half<T> {
  /** Position of the first byte that the splitter was given; −1: none. */
  base = -1;
  /** What no part holds yet: the beginning of a head. */
  readonly held: Piece[] = [];
  part: Part<T> | undefined;
  /** Position after what was handed on. */
  next = 0;
  /** A call of this side was seen: what is the connection's own from here on is no prologue. */
  begun = false;
  tgid: number;
  readonly #limits: RunLimits;
  readonly #runOf: (talk: T) => Run;

  constructor(tgid: number, limits: RunLimits, runOf: (talk: T) => Run) {
    this.tgid = tgid;
    this.#limits = limits;
    this.#runOf = runOf;
  }

  hold(piece: Piece): void {
    if (this.base < 0) this.base = this.next = piece.position;
    this.held.push(piece);
  }

  /** The part at hand goes on: whose it is. */
  get goesOn(): T | undefined {
    const { part } = this;
    return part === undefined || part.role === 'control' || part.end <= this.next ? undefined : part.talk;
  }

  /** What is sent from `position` on can be looked at beforehand: everything before is handed on. */
  standsAt(position: number): boolean {
    return this.base >= 0 && this.next === position && this.held.length === 0;
  }

  /** Who moved the byte at `position`, which is held. */
  at(position: number): Piece {
    return this.held.find((piece) => endOf(piece) > position) as Piece;
  }

  /** Hands on what is of the part at hand. */
  handOn(): void {
    const { part, held } = this;
    if (part === undefined) return;
    while (held.length > 0) {
      const piece = held[0] as Piece;
      if (piece.position >= part.end) return;
      const own = endOf(piece) <= part.end ? piece : { ...piece };
      if (own === piece) held.shift();
      else {
        trimEnd(own, part.end);
        own.more = true;
        trimStart(piece, part.end);
      }
      this.next = endOf(own);
      if (part.talk !== undefined) this.#runOf(part.talk).add(own, this.#limits);
    }
  }

  /** What is held did not happen from `position` on. */
  takenBack(position: number): void {
    for (const piece of this.held) trimEnd(piece, position);
    this.held.splice(0, Infinity, ...this.held.filter(({ length }) => length > 0));
  }
}
