/** What no symbol of V8's says, by its version: where bpf/node.bpf.c finds the last frame of JavaScript, in bytes. */

export interface V8Offsets {
  /** In an Isolate: `c_entry_fp`. */
  readonly entryFrame: number;
  /** NAME_DICTIONARY_TYPE, beyond FIXED_ARRAY_TYPE. */
  readonly nameDictionary: number;
}

/** By `major.minor`. */
export const V8_OFFSETS: ReadonlyMap<string, V8Offsets> = new Map([
  ['11.3', { entryFrame: 0x180, nameDictionary: 4 }], // Node 20
]);
