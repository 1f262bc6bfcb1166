/** What the kernel says of the programs of a recorder: how often each ran, and for how long (kernel.bpf_stats_enabled, which itself adds some 20 ns to a run). */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const STATS = '/proc/sys/kernel/bpf_stats_enabled';

export interface Run {
  readonly runs: number;
  readonly ns: number;
}

/** Of each program that process `pid` holds, what it ran while `work` was done. A name may stand for several. */
export async function countRuns(pid: number, work: () => Promise<void>): Promise<Map<string, Run>> {
  const before = readFileSync(STATS, 'utf8');
  writeFileSync(STATS, '1');
  try {
    const first = programs(pid);
    await work();
    const ran = new Map<string, Run>();
    for (const [id, { name, runs, ns }] of programs(pid)) {
      const same = ran.get(name) ?? { runs: 0, ns: 0 };
      const since = first.get(id) ?? { runs: 0, ns: 0 };
      ran.set(name, { runs: same.runs + runs - since.runs, ns: same.ns + ns - since.ns });
    }
    return ran;
  } finally {
    writeFileSync(STATS, before);
  }
}

/** By id, since they were loaded (bpftool's own list of holders needs an iterator of its own). */
function programs(pid: number): Map<number, Run & { readonly name: string }> {
  const folder = `/proc/${pid}/fdinfo`;
  const held = new Set(readdirSync(folder).map((fd) => Number(/^prog_id:\s+(\d+)/m.exec(readFileSync(join(folder, fd), 'utf8'))?.[1])));
  const all = JSON.parse(execFileSync('bpftool', ['prog', 'show', '-j'], { encoding: 'utf8' })) as
    { id: number; name?: string; run_cnt?: number; run_time_ns?: number }[];
  return new Map(all.filter(({ id }) => held.has(id)).map((one) => [one.id, { name: one.name ?? '', runs: one.run_cnt ?? 0, ns: one.run_time_ns ?? 0 }]));
}
