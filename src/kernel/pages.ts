/** Where the memory of pages lies: asked of the slab allocator once, at the start (bpf/pages.bpf.c). */
import { PAGES_ITERATOR, PAGES_ITERATOR_TARGET } from './backends.ts';
import type { KernelBtf } from './btf.ts';
import { OFFSET_SHARED_PAGES_AGAINST, OFFSET_SHARED_PAGES_AT, OFFSET_SHARED_PAGES_FOR, SIZE_SHARED } from './layout.ts';
import { LoadError } from './libbpf.ts';
import type { BpfObject } from './libbpf.ts';
import { BpfMap, u32 } from './map.ts';

/** Enough to be sure, few enough to be there on any machine. */
const VOTES = 8n;
/** The kernel places both of its maps of memory at whole gibibytes. */
const ALIGNMENT = 1n << 30n;
/** Nobody holds the allocator's locks meanwhile: a vote may be wrong. */
const ATTEMPTS = 3;

export interface PageVotes {
  /** What all agree on, or the first said. */
  readonly constant: bigint;
  readonly inFavour: bigint;
  readonly against: bigint;
}

/** Slabs agree on where pages lie, and the answer looks like one. */
export function isSure({ constant, inFavour, against }: PageVotes): boolean {
  return against === 0n && inFavour >= VOTES && constant % ALIGNMENT === 0n;
}

export function mayFindPages(btf: KernelBtf): boolean {
  return process.arch === 'x64' && btf.functionId(PAGES_ITERATOR_TARGET) !== undefined;
}

/** Whether programs find pages from now on; else their map says nothing of it, and packets must be read. Before probes are attached. */
export function findPages(object: BpfObject): boolean {
  const map = new BpfMap(object.mapFd('shared'), 'shared', 4, SIZE_SHARED);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    let refused = false;
    try {
      object.iterate(PAGES_ITERATOR);
    } catch (error) {
      if (!(error instanceof LoadError)) throw error;
      refused = true;
    }
    const bytes = map.get(u32(0));
    if (bytes === undefined) return false;
    const view = new DataView(bytes.buffer);
    const at = (offset: number): bigint => view.getBigUint64(offset, true);
    if (!refused && isSure({ constant: at(OFFSET_SHARED_PAGES_AT), inFavour: at(OFFSET_SHARED_PAGES_FOR), against: at(OFFSET_SHARED_PAGES_AGAINST) })) return true;
    for (const offset of [OFFSET_SHARED_PAGES_AT, OFFSET_SHARED_PAGES_FOR, OFFSET_SHARED_PAGES_AGAINST]) view.setBigUint64(offset, 0n, true);
    map.set(u32(0), bytes);
    if (refused) return false;
  }
  return false;
}
