/** What the kernel side is told: its knobs, and the filters in its maps, as bpf/maps.h has them. */
import { statSync } from 'node:fs';
import { EnvironmentError } from '../errors.ts';
import type { KernelBtf } from './btf.ts';
import {
  OFFSET_KNOBS_COPIES, OFFSET_KNOBS_COPY, OFFSET_KNOBS_MAX_MESSAGE, OFFSET_KNOBS_PAYLOAD_ROOM, OFFSET_KNOBS_RECORDER_TGID, OFFSET_KNOBS_RECVMSG_FLAGS_INDEX, OFFSET_KNOBS_WATCH_ALL,
  OFFSET_KNOBS_WATCH_CGROUPS, OFFSET_KNOBS_WATCH_EXE, OFFSET_KNOBS_WATCH_PORTS, OFFSET_PATH_FILTER_DEVICE,
  OFFSET_PATH_FILTER_INODE, OFFSET_PATH_FILTER_LENGTH, OFFSET_PATH_FILTER_PATH, SIZE_KNOBS, SIZE_PATH_FILTER, SIZE_SHARED,
} from './layout.ts';
import type { BpfObject } from './libbpf.ts';
import { BpfMap, u32, u64 } from './map.ts';
import type { ProbeOptions } from './probes.ts';

/** How much of the ring is kept for what happened, where payload would fill it: maps.h, RESERVE_PAYLOAD. */
const LIFE_SHARE = 1 / 8;

/** What the programs are told before they are loaded. `copy`: which of `copies` they are. */
export function knobs(btf: KernelBtf, options: ProbeOptions, copies: number, copy: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(SIZE_KNOBS));
  view.setUint32(OFFSET_KNOBS_RECORDER_TGID, process.pid, true);
  view.setUint32(OFFSET_KNOBS_WATCH_ALL, Number(options.watchAll), true);
  view.setUint32(OFFSET_KNOBS_WATCH_PORTS, Number(options.ports.length > 0), true);
  view.setUint32(OFFSET_KNOBS_WATCH_CGROUPS, Number(options.cgroups.length > 0), true);
  view.setUint32(OFFSET_KNOBS_WATCH_EXE, Number(options.executables.length > 0), true);
  // (sk, msg, len, nonblock, flags, addr_len) until 5.18; (sk, msg, len, flags, …) since (ec095263a965)
  view.setUint32(OFFSET_KNOBS_RECVMSG_FLAGS_INDEX, btf.argumentCount('tcp_recvmsg') === 6 ? 4 : 3, true);
  view.setUint32(OFFSET_KNOBS_COPIES, copies, true);
  view.setUint32(OFFSET_KNOBS_COPY, copy, true);
  view.setBigUint64(OFFSET_KNOBS_MAX_MESSAGE, BigInt(options.maxMessageBytes), true);
  view.setBigUint64(OFFSET_KNOBS_PAYLOAD_ROOM, BigInt(options.ringBytes * (1 - LIFE_SHARE)), true);
  return new Uint8Array(view.buffer);
}

/** What they find in their maps. `cgroupMount`: where the unified hierarchy is mounted. Throws EnvironmentError for a path that is too long. */
export function fillMaps(object: BpfObject, options: ProbeOptions, cgroupMount: string | undefined): void {
  // Connection 0 means none.
  const shared = new Uint8Array(SIZE_SHARED);
  shared.set(u64(1n));
  new BpfMap(object.mapFd('shared'), 'shared', 4, SIZE_SHARED).set(u32(0), shared);
  const ports = new BpfMap(object.mapFd('ports'), 'ports', 4, 4);
  for (const port of options.ports) ports.set(u32(port), u32(1));
  const cgroups = new BpfMap(object.mapFd('cgroups'), 'cgroups', 8, 4);
  const cgroupPaths = new BpfMap(object.mapFd('cgroup_paths'), 'cgroup_paths', 4, SIZE_PATH_FILTER);
  options.cgroups.forEach((path, index) => {
    const there = statIfThere(`${cgroupMount ?? ''}${path}`);
    // A cgroup's id is its directory's inode number (kernfs).
    if (there !== undefined) cgroups.set(u64(there.ino), u32(1));
    cgroupPaths.set(u32(index), pathFilter(path, undefined));
  });
  const executables = new BpfMap(object.mapFd('exe_paths'), 'exe_paths', 4, SIZE_PATH_FILTER);
  options.executables.forEach((path, index) => executables.set(u32(index), pathFilter(path, statIfThere(path))));
}

function statIfThere(path: string): { ino: bigint; dev: bigint } | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false });
}

function pathFilter(path: string, file: { ino: bigint; dev: bigint } | undefined): Uint8Array {
  const bytes = new Uint8Array(SIZE_PATH_FILTER);
  const view = new DataView(bytes.buffer);
  const text = Buffer.from(path);
  if (text.length > 255) throw new EnvironmentError(`Path too long for the kernel's filter (255 bytes): ${path}`);
  view.setUint32(OFFSET_PATH_FILTER_LENGTH, text.length, true);
  bytes.set(text, OFFSET_PATH_FILTER_PATH);
  if (file !== undefined) {
    view.setBigUint64(OFFSET_PATH_FILTER_INODE, file.ino, true);
    // stat's device number to the kernel's: 12 bits major, 20 bits minor (include/linux/kdev_t.h)
    const major = (file.dev >> 8n) & 0xfffn;
    const minor = (file.dev & 0xffn) | ((file.dev >> 12n) & 0xfff00n);
    view.setUint32(OFFSET_PATH_FILTER_DEVICE, Number((major << 20n) | minor), true);
  }
  return bytes;
}
