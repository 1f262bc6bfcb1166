/** Programs of an object of their own over the recorder's maps, loaded only where they are of use. */
import { BpfObject } from './libbpf.ts';

export interface Main {
  readonly object: BpfObject;
  /** Path of the file that both are loaded from. */
  readonly path: string;
  readonly knobs: Uint8Array;
}

/** Tell who wakes whom. They run at each switch of threads on this host, and at each wake-up. */
export const WAKES_PROGRAMS = ['wakes_switch', 'wakes_wake'] as const;
/** Tells whose what a Node program writes is. It runs at each system call on this host. */
export const NODE_PROGRAMS = ['node_writes'] as const;

/** Runs until it is closed. `ownMaps`: those that it does not share. Throws LoadError. */
export function attachBeside(programs: readonly string[], { object, path, knobs }: Main, ownMaps: ReadonlySet<string>): BpfObject {
  const beside = new BpfObject(path);
  try {
    beside.choose(new Set(programs));
    beside.setReadOnly(knobs);
    beside.shareMaps(object, ownMaps);
    beside.load();
    for (const name of programs) beside.attach(name);
    return beside;
  } catch (error) {
    beside.close();
    throw error;
  }
}
