/** Runs of our programs that the kernel skipped because the same program was running on that CPU already. */
import { CpuCounts } from './cpu-counts.ts';
import { loadLibbpf } from './ffi.ts';
import { OFFSET_STATE_RUN_TAKEN_OVER, SIZE_STATE_RUN } from './layout.ts';

/** struct bpf_prog_info of <linux/bpf.h>. The kernel fills recursion_misses since 5.12; before it stays 0. */
const INFO_BYTES = 232;
const OFFSET_RECURSION_MISSES = 208;

/** Copies of one program, by their descriptors: what one missed another may have made up for (bpf/claim.h). */
export type Copies = readonly number[];

/** What is looked at, by descriptors: they are of the whole process, any thread may ask. */
export interface Counted {
  readonly programs: readonly Copies[];
  /** The map `state_runs`: what was told in place of `tcp_state`, which is among the programs. */
  readonly stateRunsFd: number;
  /** Elements of what each CPU counts for itself. */
  readonly cpus: number;
}

export class MissedRuns {
  readonly #programs: readonly Copies[];
  readonly #stateRuns: CpuCounts;
  #most = 0;

  /** Throws EnvironmentError. */
  constructor({ programs, stateRunsFd, cpus }: Counted) {
    this.#programs = programs;
    this.#stateRuns = CpuCounts.of(stateRunsFd, 'state_runs', SIZE_STATE_RUN, cpus);
  }

  /** How often all copies of each program were skipped, at most, since they were loaded, without anything that told it in their place. */
  count(): number {
    const skipped = this.#programs.reduce((sum, copies) => sum + Math.min(...copies.map(missesOf)), 0);
    // Read last: what comes in between may hide one until the next look, and makes up none.
    this.#most = Math.max(this.#most, skipped - this.#stateRuns.sum(OFFSET_STATE_RUN_TAKEN_OVER));
    return this.#most;
  }

  close(): void {
    this.#stateRuns.close();
  }
}

function missesOf(fd: number): number {
  const info = new Uint8Array(INFO_BYTES);
  const result = loadLibbpf().bpf_obj_get_info_by_fd(fd, info, Uint32Array.of(INFO_BYTES));
  return result === 0 ? Number(new DataView(info.buffer).getBigUint64(OFFSET_RECURSION_MISSES, true)) : 0;
}
