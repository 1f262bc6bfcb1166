/** The programs that tell who wakes whom: an object of their own over the recorder's maps, loaded only where they are of use. */
import { BpfObject } from './libbpf.ts';

/** They run at each switch of threads on this host, and at each wake-up. */
const PROGRAMS = ['wakes_switch', 'wakes_wake'] as const;

/** Tells until it is closed. `path`: of the kernel object; `ownMaps`: those that it does not share with `main`. Throws LoadError. */
export function attachWakes(path: string, knobs: Uint8Array, main: BpfObject, ownMaps: ReadonlySet<string>): BpfObject {
  const wakes = new BpfObject(path);
  try {
    wakes.choose(new Set(PROGRAMS));
    wakes.setReadOnly(knobs);
    wakes.shareMaps(main, ownMaps);
    wakes.load();
    for (const name of PROGRAMS) wakes.attach(name);
    return wakes;
  } catch (error) {
    wakes.close();
    throw error;
  }
}
