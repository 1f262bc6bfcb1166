/** How much of what a process moves is TLS: recorded for a moment, looked at, forgotten. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { withDescendants } from '../kernel/processes.ts';
import { openRecording } from '../store/recording.ts';
import { Recorder } from './recorder.ts';

export interface TlsShare {
  readonly tgid: number;
  readonly durationMs: number;
  readonly connections: number;
  readonly tlsConnections: number;
  readonly bytes: number;
  readonly tlsBytes: number;
}

/** Content types and versions of a TLS record (RFC 8446 §5.1), with which each of its messages begins, also in mid-stream. */
function looksLikeTls(bytes: Uint8Array): boolean {
  const [type = 0, major = 0, minor = 0] = bytes;
  return type >= 20 && type <= 23 && major === 3 && minor <= 4;
}

/** Throws as Recorder.start does. */
export async function measureTls(tgid: number, durationMs: number): Promise<TlsShare> {
  const folder = mkdtempSync(join(tmpdir(), 'koala-bpf-'));
  try {
    const dir = join(folder, 'recording');
    const recorder = await Recorder.start({
      probe: 'auto', ringBytes: 4 << 20, maxConnections: 16_384, maxMessageBytes: 64, watchAll: false, ports: [], cgroups: [],
      executables: [], filters: [], writer: { dir, minFreeBytes: 0 },
    });
    recorder.watch(withDescendants(new Set([tgid])));
    recorder.probes.findExisting();
    await sleep(durationMs);
    await recorder.stop();
    const connections = new Map<number, { bytes: number; tls: boolean }>();
    for (const event of openRecording(dir).events()) {
      if (event.kind !== 'data' && event.kind !== 'gap') continue;
      const known = connections.get(event.connection) ?? { bytes: 0, tls: false };
      known.bytes += event.length;
      if (event.kind === 'data') known.tls ||= looksLikeTls(event.bytes);
      connections.set(event.connection, known);
    }
    const all = [...connections.values()];
    const encrypted = all.filter(({ tls }) => tls);
    const sum = (some: typeof all): number => some.reduce((bytes, one) => bytes + one.bytes, 0);
    return {
      tgid, durationMs, connections: all.length, tlsConnections: encrypted.length, bytes: sum(all), tlsBytes: sum(encrypted),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
