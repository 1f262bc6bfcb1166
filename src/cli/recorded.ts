/** How it is told what was recorded, to scripts and to people. */
import type { RecordedSummary } from '../record/recorder.ts';
import { counted, size } from '../report/text.ts';

export interface RecordedJson {
  readonly dir: string;
  readonly connections: number;
  readonly bytes: number;
  readonly lost: RecordedSummary['lost'];
  readonly lostEvents?: RecordedSummary['lostEvents'];
  /** Where not all were read. */
  readonly nodeReads?: RecordedSummary['nodeReads'];
}

export function recordedJson({ connections, bytes, lost, lostEvents, nodeReads }: RecordedSummary, dir: string): RecordedJson {
  return { dir, connections, bytes, lost, ...(Object.keys(lostEvents).length > 0 && { lostEvents }), ...(nodeReads.leftOut > 0 && { nodeReads }) };
}

/** What lies where, what was lost; and where Node's memory told of a part only, of how much. */
export function recordedLines(summary: RecordedSummary, dir: string, durationMs: number): string[] {
  const causes = Object.entries(summary.lost.byCause);
  const { walked, leftOut } = summary.nodeReads;
  return [
    `koala-bpf: ${counted(summary.connections, 'connection')}, ${size(summary.bytes)} in ${(durationMs / 1000).toFixed(1)} s to ${dir}`,
    causes.length === 0 ? '  lost: nothing'
      : `  lost: ${size(summary.lost.bytes)} (${causes.map(([cause, bytes]) => `${cause} ${bytes > 0 ? size(bytes) : `${summary.lostEvents[cause] ?? 0} times`}`).join(', ')})`,
    ...(leftOut === 0 ? [] : [`  whose it is was read from Node's memory for ${Math.floor(walked / (walked + leftOut) * 100)}% of what it wrote to others: a tenth of its time was used up (--read-memory node: for all)`]),
  ];
}
