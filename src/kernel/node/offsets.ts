/** What no symbol of V8's says, by its version: where bpf/node-heap.bpf.c finds what it looks for, in bytes. */

export interface V8Offsets {
  /** In an Isolate: `c_entry_fp`. */
  readonly entryFrame: number;
  /** In a JSFunction: `context`. */
  readonly functionContext: number;
  /** In an API object: Node's second embedder field (`BaseObject::kSlot`). */
  readonly embedderField: number;
  /** BYTECODE_ARRAY_TYPE. */
  readonly bytecode: number;
}

/** NAME_DICTIONARY_TYPE, beyond FIXED_ARRAY_TYPE. */
export const NAME_DICTIONARY = 4;

/** By `major.minor`. */
export const V8_OFFSETS: ReadonlyMap<string, V8Offsets> = new Map([
  ['11.3', { entryFrame: 0x180, functionContext: 32, embedderField: 32, bytecode: 191 }], // Node 20
  ['12.4', { entryFrame: 0x110, functionContext: 40, embedderField: 32, bytecode: 205 }], // Node 22
  ['13.6', { entryFrame: 0x140, functionContext: 40, embedderField: 40, bytecode: 186 }], // Node 24
  ['14.6', { entryFrame: 0x148, functionContext: 40, embedderField: 40, bytecode: 185 }], // Node 26
]);
