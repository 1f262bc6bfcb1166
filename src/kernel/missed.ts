/** Runs of our programs that the kernel skipped because the same program was running on that CPU already. */
import { loadLibbpf } from './ffi.ts';

/** struct bpf_prog_info of <linux/bpf.h>. The kernel fills recursion_misses since 5.12; before it stays 0. */
const INFO_BYTES = 232;
const OFFSET_RECURSION_MISSES = 208;

/** Copies of one program, by their descriptors: what one missed another may have made up for (bpf/claim.h). */
export type Copies = readonly number[];

/** How often all copies of each program were skipped, at most, since they were loaded. Descriptors are of the whole process: any thread may ask. */
export function missedRuns(programs: readonly Copies[]): number {
  return programs.reduce((sum, copies) => sum + Math.min(...copies.map(missesOf)), 0);
}

function missesOf(fd: number): number {
  const info = new Uint8Array(INFO_BYTES);
  const result = loadLibbpf().bpf_obj_get_info_by_fd(fd, info, Uint32Array.of(INFO_BYTES));
  return result === 0 ? Number(new DataView(info.buffer).getBigUint64(OFFSET_RECURSION_MISSES, true)) : 0;
}
