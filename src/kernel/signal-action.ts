/** What a process does on a signal, as the kernel has it (bpf/signals.bpf.c): /proc tells only that it catches one. */
import { PAGE_BYTES } from './auxiliary.ts';
import { BpfObject } from './libbpf.ts';
import {
  OFFSET_SIGNAL_ACTION_FLAGS, OFFSET_SIGNAL_ACTION_FOUND, OFFSET_SIGNAL_ACTION_HANDLER, OFFSET_SIGNAL_ACTION_SIGNAL,
  OFFSET_SIGNAL_ACTION_TGID, SIZE_SIGNAL_ACTION,
} from './layout.ts';
import { BpfMap, u32 } from './map.ts';
import { objectPath } from './probes.ts';

/** include/uapi/asm-generic/signal-defs.h: whoever calls is interrupted and goes on. */
export const SA_RESTART = 0x1000_0000n;

const PROGRAM = 'signal_actions';
/** None of the maps that recording needs is used: they are made as small as can be. */
const LARGE_MAPS = ['connections', 'unreported', 'watched', 'watched_slots', 'threads', 'taken_threads', 'taken_ids', 'listeners'];

export interface SignalAction {
  /** 0n: the default; 1n: ignored; else an address in the process. */
  readonly handler: bigint;
  /** As sigaction(2) takes them. */
  readonly flags: bigint;
}

/** Undefined when there is no such process. Throws EnvironmentError (LoadError) where the kernel does not tell (before 5.8). */
export function signalAction(tgid: number, signal: number): SignalAction | undefined {
  const object = new BpfObject(objectPath());
  try {
    object.choose(new Set([PROGRAM]));
    object.setMaxEntries('ring', PAGE_BYTES);
    for (const map of LARGE_MAPS) object.setMaxEntries(map, 1);
    object.checkValueSize('signal_asked', SIZE_SIGNAL_ACTION);
    object.load();
    const map = new BpfMap(object.mapFd('signal_asked'), 'signal_asked', 4, SIZE_SIGNAL_ACTION);
    const question = new Uint8Array(SIZE_SIGNAL_ACTION);
    const view = new DataView(question.buffer);
    view.setUint32(OFFSET_SIGNAL_ACTION_TGID, tgid, true);
    view.setUint32(OFFSET_SIGNAL_ACTION_SIGNAL, signal, true);
    map.set(u32(0), question);
    object.iterate(PROGRAM);
    const answer = map.get(u32(0));
    if (answer === undefined) return undefined;
    const told = new DataView(answer.buffer);
    if (told.getUint32(OFFSET_SIGNAL_ACTION_FOUND, true) === 0) return undefined;
    return { handler: told.getBigUint64(OFFSET_SIGNAL_ACTION_HANDLER, true), flags: told.getBigUint64(OFFSET_SIGNAL_ACTION_FLAGS, true) };
  } finally {
    object.close();
  }
}
