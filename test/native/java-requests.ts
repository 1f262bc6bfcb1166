/** programs/java/Requests.java, recorded, and whose calls those of its requests are said to be held against what it says itself. */
import { fileURLToPath } from 'node:url';
import { ProcessMemory } from '../../src/kernel/java/memory.ts';
import { exportsOf, VmStructs } from '../../src/kernel/java/vm-structs.ts';
import { loadedFiles } from '../../src/kernel/loaded.ts';
import { javaOf } from '../e2e/services/jdk.ts';
import { built } from '../e2e/stacks/built.ts';
import { skipIf } from '../skip.ts';
import { judged } from './judged.ts';

const compiled = built('requests', ['javac'], [['javac', 'Requests.java']], fileURLToPath(new URL('programs/java', import.meta.url)));

/** What runs the program on that release, with these options; undefined, and the test skipped, where it can't be had. */
export function commandOf(context: Mocha.Context, release: 21 | 25, ...options: readonly string[]): readonly string[] {
  const had = javaOf(release);
  skipIf(context, 'why' in had ? had.why : 'why' in compiled ? compiled.why : undefined);
  return 'why' in had || 'why' in compiled ? [] : [had.java, ...options, '-cp', compiled.dir, 'Requests'];
}

/** While the JVM moves objects nothing is read of what its threads do, so that a call may be told of by nothing. Of 320 mostly all are tied. */
export const ALL = { sessions: 64, calls: 320, wrong: 0, problems: [], most: true, nearlyAll: true };

export function found(command: readonly string[], env: NodeJS.ProcessEnv = {}): unknown {
  const { byContext, tied, right, ...rest } = judged(command, env);
  return { ...rest, wrong: tied - right, most: byContext >= 160, nearlyAll: right >= 304 };
}

/** What a JVM says of its own structures; undefined: it has not loaded them yet, or is gone. */
export function structsOf(tgid: number): VmStructs | undefined {
  const [loaded] = loadedFiles(tgid, /libjvm\.so$/);
  const exported = loaded === undefined ? undefined : exportsOf(tgid, loaded);
  return exported === undefined ? undefined : ProcessMemory.read(tgid, (memory) => new VmStructs(memory, exported));
}
