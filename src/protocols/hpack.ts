/**
 * Header fields of HTTP/2, undone (RFC 7541). A field may refer to what an earlier block of the same side said; where those were not
 * all seen (the connection is older than the recorder, bytes are missing), entries count from the newest on, so what was said since
 * is known and what is older is not: such a field is counted, never guessed.
 */
import { latin1Text } from './ascii.ts';
import { STATIC_TABLE } from './hpack-tables.ts';
import type { Field } from './hpack-tables.ts';
import { unHuffman } from './huffman.ts';

export type { Field } from './hpack-tables.ts';

/** Characters of one name or value, and of all fields of a block, each with 32 for its entry as §4.1 counts. */
export const maxStringChars = 64 << 10;
export const maxListChars = 256 << 10;
/** A peer's table is never made larger than that. */
export const maxTableBytes = 1 << 20;
const DEFAULT_TABLE_BYTES = 4_096;
const ENTRY_OVERHEAD = 32;

export interface Block {
  readonly fields: Field[];
  /** Fields that refer to what was not seen, or are beyond the caps. */
  unknown: number;
}

/** Undefined: it stands in an entry that was not seen. */
interface Entry {
  readonly name: string | undefined;
  readonly value: string | undefined;
}

const UNSEEN: Entry = { name: undefined, value: undefined };

class Malformed extends Error {}

export class Hpack {
  /** Newest first. */
  #table: Entry[] = [];
  #bytes = 0;
  #maxBytes = DEFAULT_TABLE_BYTES;
  /** Everything that the peer's table holds is known. */
  #whole: boolean;
  #block: Uint8Array = new Uint8Array(0);
  #at = 0;
  #chars = 0;

  /** `whole`: the first block is the connection's first. */
  constructor(whole: boolean) {
    this.#whole = whole;
  }

  /** Blocks are missing from here on. */
  lose(): void {
    this.#table = [];
    this.#bytes = 0;
    this.#whole = false;
  }

  /** Undefined: it is no header block, and what follows on this side refers to what is not known. */
  decode(block: Uint8Array): Block | undefined {
    const found: Block = { fields: [], unknown: 0 };
    this.#block = block;
    this.#at = this.#chars = 0;
    try {
      while (this.#at < block.length) this.#field(found);
      return found;
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      this.lose();
      return undefined;
    }
  }

  #field(found: Block): void {
    const byte = this.#block[this.#at] as number;
    if (byte >= 0x80) return this.#found(found, this.#entry(this.#integer(7)));
    if (byte >= 0x40) {
      const entry = this.#literal(6);
      this.#insert(entry);
      return this.#found(found, entry);
    }
    if (byte < 0x20) return this.#found(found, this.#literal(4));
    this.#resize(this.#integer(5));
  }

  #found(found: Block, entry: Entry): void {
    const { name, value } = entry;
    this.#chars += sizeOf(entry);
    if (name === undefined || value === undefined || this.#chars > maxListChars) found.unknown += 1;
    else found.fields.push([name, value]);
  }

  #literal(prefix: number): Entry {
    const index = this.#integer(prefix);
    const name = index === 0 ? this.#string() : this.#entry(index).name;
    return { name, value: this.#string() };
  }

  #entry(index: number): Entry {
    if (index === 0) throw new Malformed();
    if (index <= STATIC_TABLE.length) {
      const [name, value] = STATIC_TABLE[index - 1] as Field;
      return { name, value };
    }
    const entry = this.#table[index - STATIC_TABLE.length - 1];
    if (entry !== undefined) return entry;
    if (this.#whole) throw new Malformed();
    return UNSEEN;
  }

  #insert(entry: Entry): void {
    // Of what size it is, and so what it drove out, is not known.
    if (entry.name === undefined || entry.value === undefined) this.#whole = false;
    this.#table.unshift(entry);
    this.#bytes += sizeOf(entry);
    this.#evict();
  }

  #resize(maxBytes: number): void {
    if (maxBytes > maxTableBytes) throw new Malformed();
    this.#maxBytes = maxBytes;
    this.#evict();
    if (maxBytes === 0) this.#whole = true;
  }

  /** Where the peer's table is larger than was heard, entries that it still has are unknown afterwards: then they are not guessed either. */
  #evict(): void {
    while (this.#bytes > this.#maxBytes) {
      const last = this.#table.pop();
      if (last === undefined) break;
      this.#bytes -= sizeOf(last);
    }
  }

  /** §5.1, at most 2^28. */
  #integer(prefix: number): number {
    const most = 2 ** prefix - 1;
    let value = this.#byte() & most;
    if (value < most) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      const byte = this.#byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new Malformed();
  }

  #string(): string {
    const huffman = (this.#block[this.#at] ?? 0) >= 0x80;
    const length = this.#integer(7);
    const from = this.#at;
    const to = from + length;
    if (to > this.#block.length) throw new Malformed();
    this.#at = to;
    const text = huffman ? unHuffman(this.#block, from, to, maxStringChars) : length > maxStringChars ? undefined : latin1Text(this.#block, from, to);
    if (text === undefined) throw new Malformed();
    return text;
  }

  #byte(): number {
    const byte = this.#block[this.#at];
    if (byte === undefined) throw new Malformed();
    this.#at += 1;
    return byte;
  }
}

function sizeOf({ name, value }: Entry): number {
  return (name?.length ?? 0) + (value?.length ?? 0) + ENTRY_OVERHEAD;
}
