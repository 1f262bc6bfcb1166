/**
 * The Node programs among the watched processes: the kernel side is told what V8's objects look like in each, and is called where one of them
 * writes (bpf/node.h). What is not known is left: then its calls are tied by other means.
 */
import * as layout from '../layout.ts';
import type { ContextBits } from '../context-bits.ts';
import { remembered } from '../file-id.ts';
import { loadedFiles, rooted } from '../loaded.ts';
import { u32, type BpfMap } from '../map.ts';
import { readNodeFile, type NodeFile, type UnknownV8 } from './executable.ts';
import { NAME_DICTIONARY } from './offsets.ts';

/** Processes at a time (bpf/node.h): what a walk takes is kept for each. */
const MAX_PROGRAMS = 64;
const FILE = /\/(?:node|nodejs)$/;
/** What walks may take of the main thread's time where they are bounded, in 1024ths. */
const SHARE = 102;
/** Function types are numbered one after the other, from that of plain ones. */
const FUNCTION_TYPES = 20;

export class NodePrograms {
  readonly #programs: BpfMap;
  readonly #bits: ContextBits;
  #attach: (() => boolean) | undefined;
  readonly #share: number;
  readonly #onUnknown: (tgid: number, version: string | undefined) => void;
  readonly #files = new Map<string, NodeFile | UnknownV8 | undefined>();
  /** By process: where its walks are kept. */
  readonly #placed = new Map<number, number>();

  /**
   * `attach`: attaches what runs at each write, if it is not yet; false: it can't be had. Absent: no memory is to be read. `onUnknown`: a program has a V8
   * that is not known, or (no version) says nothing of it. `bounded`: it is read in no more than a share of the time.
   */
  constructor(programs: BpfMap, bits: ContextBits, attach: (() => boolean) | undefined, onUnknown: (tgid: number, version: string | undefined) => void, bounded = false) {
    this.#programs = programs;
    this.#bits = bits;
    this.#attach = attach;
    this.#share = bounded ? SHARE : 0;
    this.#onUnknown = onUnknown;
  }

  /** A watched process runs what it runs now. To be called again after each exec. */
  add(tgid: number, fresh = false): void {
    if (this.#attach === undefined || (this.#placed.has(tgid) && !fresh)) return;
    this.forget(tgid);
    const [loaded] = loadedFiles(tgid, FILE);
    if (loaded === undefined) return;
    for (const known of [...this.#placed.keys()]) if (this.#programs.get(u32(known)) === undefined) this.forget(known);
    const taken = new Set(this.#placed.values());
    const at = Array.from({ length: MAX_PROGRAMS }, (_, index) => index).find((index) => !taken.has(index));
    const path = rooted(tgid, loaded.path);
    const file = remembered(this.#files, path, readNodeFile);
    if (file === undefined || 'version' in file) return this.#onUnknown(tgid, file?.version);
    if (at === undefined || !this.#isAttached()) return;
    this.#placed.set(tgid, at);
    this.#programs.set(u32(tgid), valueOf(file, at, this.#share));
    this.#bits.set(tgid);
  }

  /** A file is about to be run: what is needed for that is made ready, which takes some tenths of a second. */
  expect(path: string): void {
    if (FILE.test(path)) this.#isAttached();
  }

  #isAttached(): boolean {
    if (this.#attach?.() === true) return true;
    this.#attach = undefined;
    return false;
  }

  /** `parent` has made `tgid`, which runs the same. */
  forked(parent: number, tgid: number): void {
    if (this.#placed.has(parent)) this.add(tgid);
  }

  /** It has ended, or runs something else. */
  forget(tgid: number): void {
    if (this.#placed.delete(tgid)) this.#programs.delete(u32(tgid));
  }
}

function valueOf({ types, contextCell, offsets, isolate }: NodeFile, at: number, share: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(layout.SIZE_NODE_PROGRAM));
  view.setBigInt64(layout.OFFSET_NODE_PROGRAM_ISOLATE, BigInt(isolate), true);
  view.setUint32(layout.OFFSET_NODE_PROGRAM_ENTRY_FRAME, offsets.entryFrame, true);
  view.setUint32(layout.OFFSET_NODE_PROGRAM_PLACE, at, true);
  view.setUint32(layout.OFFSET_NODE_PROGRAM_SHARE, share, true);
  view.setUint32(layout.OFFSET_NODE_PROGRAM_BYTECODE, offsets.bytecode, true);
  const type = (offset: number, number: number): void => { view.setUint16(offset, number, true); };
  type(layout.OFFSET_NODE_PROGRAM_MAP, types.map);
  type(layout.OFFSET_NODE_PROGRAM_OBJECT, types.object);
  type(layout.OFFSET_NODE_PROGRAM_LAST_OBJECT, Math.min(types.promise, types.bound_function) - 1);
  type(layout.OFFSET_NODE_PROGRAM_API_OBJECT, types.api_object);
  type(layout.OFFSET_NODE_PROGRAM_FIRST_FUNCTION, types.first_function);
  type(layout.OFFSET_NODE_PROGRAM_LAST_FUNCTION, types.first_function + FUNCTION_TYPES - 1);
  type(layout.OFFSET_NODE_PROGRAM_BOUND_FUNCTION, types.bound_function);
  type(layout.OFFSET_NODE_PROGRAM_PROMISE, types.promise);
  type(layout.OFFSET_NODE_PROGRAM_REACTION, types.reaction);
  type(layout.OFFSET_NODE_PROGRAM_CAPABILITY, types.capability);
  type(layout.OFFSET_NODE_PROGRAM_GENERATOR, types.async_function - 1);
  type(layout.OFFSET_NODE_PROGRAM_ASYNC_FUNCTION, types.async_function);
  type(layout.OFFSET_NODE_PROGRAM_ASYNC_GENERATOR, types.async_generator);
  type(layout.OFFSET_NODE_PROGRAM_ASYNC_REQUEST, types.async_request);
  type(layout.OFFSET_NODE_PROGRAM_CONTEXT_CELL, contextCell);
  type(layout.OFFSET_NODE_PROGRAM_FIRST_CONTEXT, types.first_context);
  type(layout.OFFSET_NODE_PROGRAM_LAST_CONTEXT, types.last_context);
  type(layout.OFFSET_NODE_PROGRAM_FIXED_ARRAY, types.fixed_array);
  type(layout.OFFSET_NODE_PROGRAM_PROPERTY_ARRAY, types.property_array);
  type(layout.OFFSET_NODE_PROGRAM_NAME_DICTIONARY, types.fixed_array + NAME_DICTIONARY);
  type(layout.OFFSET_NODE_PROGRAM_ARRAY, types.array);
  type(layout.OFFSET_NODE_PROGRAM_FIRST_COLLECTION, types.first_collection);
  type(layout.OFFSET_NODE_PROGRAM_LAST_COLLECTION, types.last_collection);
  type(layout.OFFSET_NODE_PROGRAM_PRIMITIVE_WRAPPER, types.primitive_wrapper);
  type(layout.OFFSET_NODE_PROGRAM_FUNCTION_CONTEXT, offsets.functionContext);
  type(layout.OFFSET_NODE_PROGRAM_EMBEDDER_FIELD, offsets.embedderField);
  return new Uint8Array(view.buffer);
}
