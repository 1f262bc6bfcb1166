/**
 * What a JVM tells debuggers of its collector ZGC, which moves objects at any time (bpf/java-heap.bpf.c, bpf/java.h): which pointers may lead
 * to one that has been moved, and in which pages objects are that have not been. Before generations (JEP 439) addresses on a stack have bits
 * of the former too; since, only pointers in memory have.
 */
import type { Flags } from './flags.ts';
import { known, Unreadable, type ProcessMemory } from './memory.ts';
import type { VmStructs } from './vm-structs.ts';

const WORD_BYTES = 8;
/** Twin of PAGE_SHIFT of bpf/java.h. */
const PAGE_SHIFT = 21n;
/** Addresses end at so many times the one at which they begin. Without generations there are three for each object. */
const GENERATIONAL_VIEWS = 2;
const VIEWS = 8;
/** Twin of GENERATIONS of bpf/java.h. */
const GENERATIONS = 2;
/** Of the heap's structure, where they are looked for. */
const HEAP_BYTES = 16_384;

export const ZGC_FLAGS = ['UseZGC', 'ZGenerational'] as const;

/** Addresses of which bits no pointer has that is true now, and of a word whose six lowest bits say how many of its lowest are no address. */
export interface Colours {
  readonly stale: number;
  readonly coloured: number;
}

/** Where objects may be, and the table of pages and what it has of each, by struct java_heap of bpf/java.h. */
export interface Pages {
  readonly from: number;
  readonly to: number;
  readonly offsetMask: bigint;
  readonly pages: number;
  readonly pageTime: number;
  readonly pageStart: number;
  /** Of each generation. None: addresses on stacks have colours. */
  readonly left: readonly number[];
}

interface Kind {
  /** How its structures are named. */
  readonly letter: 'X' | 'Z';
  readonly generational: boolean;
}

/** Undefined: it runs with another collector. */
function kindOf(structs: VmStructs, flags: Flags | undefined): Kind | undefined {
  if (flags?.get('UseZGC') !== true) return undefined;
  const generational = structs.offset('ZGlobalsForVMStructs._ZPointerLoadShift') !== undefined && flags.get('ZGenerational') !== false;
  // JDK 21 to 23 have both.
  return { letter: generational || structs.address('XGlobalsForVMStructs._instance_p') === undefined ? 'Z' : 'X', generational };
}

/** Of an address that the JVM keeps for debuggers. */
function told(memory: ProcessMemory, structs: VmStructs, { letter }: Kind, name: string): number {
  const all = memory.pointer(known(structs.address(`${letter}GlobalsForVMStructs._instance_p`)));
  return memory.pointer(all + known(structs.offset(`${letter}GlobalsForVMStructs._${name}`)));
}

/** `flags`: of ZGC_FLAGS those that the JVM has. Undefined: pointers are plain. Throws Unreadable. */
export function coloursOf(memory: ProcessMemory, structs: VmStructs, flags: Flags | undefined): Colours | undefined {
  const kind = kindOf(structs, flags);
  if (kind === undefined) return undefined;
  if (kind.generational) return { stale: told(memory, structs, kind, 'ZPointerLoadBadMask'), coloured: told(memory, structs, kind, 'ZPointerLoadShift') };
  // All bits of an address are, and that word has only high ones.
  const stale = told(memory, structs, kind, `${kind.letter}AddressBadMask`);
  return { stale, coloured: stale };
}

/** `flags`: as above. Undefined: it runs with another collector. Throws Unreadable. */
export function zgcOf(memory: ProcessMemory, structs: VmStructs, flags: Flags | undefined): (Colours & Pages) | undefined {
  const kind = kindOf(structs, flags);
  const colours = coloursOf(memory, structs, flags);
  if (kind === undefined || colours === undefined) return undefined;
  const at = (field: string): number => known(structs.offset(`${kind.letter}${field}`));
  const heap = memory.pointer(known(structs.address('Universe._collectedHeap'))) + at('CollectedHeap._heap');
  const offsetMask = memory.long(told(memory, structs, kind, `${kind.letter}AddressOffsetMask`));
  const from = Number(offsetMask) + 1;
  const granules = at('PageTable._map') + at('GranuleMapForPageTable._map');
  const table = heap + at('Heap._page_table');
  return {
    ...colours, offsetMask, from, to: from * (kind.generational ? GENERATIONAL_VIEWS : VIEWS),
    pages: memory.pointer(table + granules),
    left: kind.generational ? leftIn(memory, heap, heap + at('Heap._page_allocator'), table, at('ForwardingTable._map') + at('GranuleMapForForwarding._map')) : [],
    pageTime: at('Page._seqnum'), pageStart: at('Page._virtual') + at('VirtualMemory._start'),
  };
}

/**
 * The tables of what was moved, of each of its generations. Debuggers aren't told where in the heap's structure these are, but each begins with
 * pointers to two parts of it that they are told of, and with that table.
 */
function leftIn(memory: ProcessMemory, heap: number, allocator: number, table: number, map: number): readonly number[] {
  const words = memory.upTo(HEAP_BYTES, heap);
  const found: number[] = [];
  for (let at = 0; at + 2 * WORD_BYTES + map + WORD_BYTES <= words.length; at += WORD_BYTES) {
    const word = (offset: number): number => Number(words.readBigUInt64LE(at + offset));
    if (word(0) === allocator && word(WORD_BYTES) === table) found.push(word(2 * WORD_BYTES + map));
  }
  if (found.length !== GENERATIONS) throw new Unreadable(`${found.length} generations`);
  return found;
}

/** Where the pointer at `slot` leads; undefined: what is there may have been moved. */
export function addressAt(memory: ProcessMemory, slot: number, colours: Colours | undefined): number | undefined {
  const pointer = memory.long(slot);
  if (colours === undefined) return Number(pointer);
  if ((pointer & memory.long(colours.stale)) !== 0n) return undefined;
  return Number(pointer >> (memory.long(colours.coloured) & 63n));
}

/** What it has of the page that an object is in is as it is known. `collections`: so often it has begun so far. */
export function isInPage(memory: ProcessMemory, { offsetMask, pages, pageTime, pageStart }: Pages, object: number, collections: number): boolean {
  const granule = (BigInt(object) & offsetMask) >> PAGE_SHIFT;
  const page = memory.pointer(pages + Number(granule) * WORD_BYTES);
  const time = memory.int(page + pageTime);
  return time > 0 && time <= collections + 1 && memory.long(page + pageStart) === granule << PAGE_SHIFT;
}
