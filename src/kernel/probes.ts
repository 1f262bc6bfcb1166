/** The kernel side as one thing: chosen backend loaded, probes attached, maps at hand. */
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { EnvironmentError } from '../errors.ts';
import {
  BACKENDS, backend, CGROUP_PROGRAMS, COMMON_PROGRAMS, hasUprobes, isTracepointProgram, ITERATORS, PACKETS_PROGRAM, PAGES_ITERATOR,
  INTERRUPTED_PROGRAM, tracepointCopies, UPROBES,
} from './backends.ts';
import type { Backend, ProbeName } from './backends.ts';
import { appendHooks, sightOf, type AppendSight } from './append-sight.ts';
import { attachBeside, NODE_PROGRAMS, WAKES_PROGRAMS, type Main } from './beside.ts';
import { KernelBtf } from './btf.ts';
import { commandFiles } from './command-files.ts';
import { ContextBits } from './context-bits.ts';
import { HelperAddress } from './helper-address.ts';
import { OFFSET_NODE_COUNTS_LEFT_OUT, OFFSET_NODE_COUNTS_WALKED, SIZE_CONNECTION, SIZE_CPU_LOSSES, SIZE_GO_PROGRAM, SIZE_JAVA_HEAP, SIZE_JAVA_PROGRAM, SIZE_JAVA_WAITS, SIZE_KNOBS, SIZE_LISTENER_KEY, SIZE_NODE_COUNTS, SIZE_NODE_PROGRAM, SIZE_PATH_FILTER, SIZE_PYTHON_PROGRAM, SIZE_SHARED, SIZE_STATE_RUN } from './layout.ts';
import { GoPrograms } from './go/programs.ts';
import { JavaPrograms } from './java/programs.ts';
import type { WhyUnknown } from './java/virtual-threads.ts';
import { BpfObject, LoadError } from './libbpf.ts';
import { BpfMap, u32 } from './map.ts';
import { MissedRuns } from './missed.ts';
import type { Copies, Counted } from './missed.ts';
import { findPages, mayFindPages } from './pages.ts';
import { allProcesses } from './processes.ts';
import { NodePrograms } from './node/programs.ts';
import { PythonPrograms } from './python/programs.ts';
import { UvloopPrograms } from './python/uvloop.ts';
import { fillMaps, knobs } from './settings.ts';

export interface ProbeOptions {
  readonly probe: ProbeName | 'auto';
  /** Power of two, at least a page. */
  readonly ringBytes: number;
  readonly maxConnections: number;
  /** Bytes kept of one message; 0: whole. */
  readonly maxMessageBytes: number;
  /** What is appended to files. */
  readonly appends?: boolean;
  readonly watchAll: boolean;
  readonly ports: readonly number[];
  /** Paths inside the cgroup2 hierarchy, as /proc/PID/cgroup shows them after `0::`. */
  readonly cgroups: readonly string[];
  readonly executables: readonly string[];
  /** Whose each call of a Node program is, is read from its memory; `bounded`: in no more than a share of the time. */
  readonly walksNode?: 'always' | 'bounded' | undefined;
  /** A watched Node program has a V8 whose memory can't be read: it is of this version, or says nothing of itself. */
  readonly onUnknownV8?: (tgid: number, version: string | undefined) => void;
  /** A watched process is a Node program, and this kernel does not take what reads its memory. */
  readonly onNoNodeMemory?: (why: string) => void;
  /** A watched JVM has virtual threads, and which of them runs can't be told. */
  readonly onUnknownVirtualThreads?: (tgid: number, why: WhyUnknown) => void;
}

/** Writes to dependencies for which a program's memory was read, and for which it was not: its share of the time was used up. */
export interface NodeReads {
  readonly walked: number;
  readonly leftOut: number;
}

/** Path of a kernel object of this machine's architecture, as packed or as built. */
export function objectPath(name: 'koala.bpf.o' | 'unix-gate.bpf.o' = 'koala.bpf.o'): string {
  const arch = process.arch === 'x64' ? 'x86_64' : process.arch;
  const here = fileURLToPath(new URL('.', import.meta.url));
  const found = [`${here}../bpf/${arch}/${name}`, `${here}../../dist/bpf/${arch}/${name}`].find(existsSync);
  if (found === undefined) {
    throw new EnvironmentError(
      `koala-bpf was built without its kernel object for ${arch}`, 'run scripts/setup in the checkout');
  }
  return found;
}

/** Where the unified hierarchy is mounted. */
export function cgroupRoot(): string | undefined {
  const mount = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
    .map((line) => line.split(' - ')).find(([, type]) => type?.startsWith('cgroup2 '));
  return mount?.[0]?.split(' ')[4];
}

/** Why each backend can't run here; undefined for one against which nothing speaks. */
export function refusals(): Map<ProbeName, string | undefined> {
  const btf = new KernelBtf();
  try {
    return new Map(BACKENDS.map((row) => [row.name, row.refusal(btf)]));
  } finally {
    btf.close();
  }
}

export class Probes {
  readonly probe: ProbeName;
  readonly ringBytes: number;
  /** False where pages are neither found nor read from packets (no cgroup2): what sendfile sends is then a declared gap. */
  readonly packets: boolean;
  /** On which file systems what is appended to files is seen; none where it was not asked for. */
  readonly appendSight: AppendSight;
  readonly watched: BpfMap;
  readonly connections: BpfMap;
  readonly unreported: BpfMap;
  readonly listeners: BpfMap;
  /** All attached programs. */
  readonly counted: Counted;
  readonly #followers: MissedRuns;
  readonly #go: GoPrograms;
  readonly #python: PythonPrograms;
  readonly #java: JavaPrograms;
  readonly #node: NodePrograms;
  readonly #nodeCounts: BpfMap;
  readonly #watchesAll: boolean;
  readonly #slots: BpfMap;
  readonly #object: BpfObject;
  readonly #copies: readonly BpfObject[];
  readonly #main: Main;
  #helperAddress: HelperAddress | undefined;
  #wakes: BpfObject | undefined;
  #walks: BpfObject | undefined;
  #detached = false;

  /** Loads and attaches, this thread going on meanwhile: once it resolves, chosen processes are recorded. Throws EnvironmentError, LoadError. */
  static async load(options: ProbeOptions): Promise<Probes> {
    const btf = new KernelBtf();
    try {
      const tried: string[] = [];
      const rows = options.probe === 'auto' ? BACKENDS : [backend(options.probe)];
      for (const row of rows) {
        const refusal = row.refusal(btf);
        if (refusal !== undefined) {
          tried.push(`${row.name}: ${refusal}`);
          continue;
        }
        try {
          return new Probes(row, await open(row, btf, options), options);
        } catch (error) {
          if (!(error instanceof LoadError) || row === rows.at(-1)) throw error;
          tried.push(`${row.name}: ${error.message}`);
        }
      }
      throw new EnvironmentError(`No probe backend works here (${tried.join('; ')})`, 'see koala-bpf doctor');
    } finally {
      btf.close();
    }
  }

  private constructor(row: Backend, { object, copies, attached, appendSight, packets, knobs }: Opened, options: ProbeOptions) {
    this.#object = object;
    this.#copies = copies;
    this.#main = { object, path: objectPath(), knobs };
    const fdsOf = (name: string): Copies => [object, ...(isTracepointProgram(name) ? copies : [])].map((one) => one.programFd(name));
    this.counted = { programs: attached.map(fdsOf), stateRunsFd: object.mapFd('state_runs'), cpus: possibleCpus() };
    this.#followers = new MissedRuns({ ...this.counted, programs: attached.filter((name) => (FOLLOWERS as readonly string[]).includes(name)).map(fdsOf) });
    this.probe = row.name;
    this.ringBytes = options.ringBytes;
    this.packets = packets;
    this.appendSight = appendSight;
    this.watched = new BpfMap(object.mapFd('watched'), 'watched', 4, 4);
    this.#slots = new BpfMap(object.mapFd('watched_slots'), 'watched_slots', 4, 4);
    this.connections = new BpfMap(object.mapFd('connections'), 'connections', 8, SIZE_CONNECTION);
    this.unreported = new BpfMap(object.mapFd('unreported'), 'unreported', 8, SIZE_CONNECTION);
    this.listeners = new BpfMap(object.mapFd('listeners'), 'listeners', SIZE_LISTENER_KEY, 4);
    this.#watchesAll = options.watchAll;
    const bits = new ContextBits(new BpfMap(object.mapFd('go_bits'), 'go_bits', 4, 8));
    this.#go = new GoPrograms(
      new BpfMap(object.mapFd('go_programs'), 'go_programs', 4, SIZE_GO_PROGRAM), bits,
      hasUprobes() ? (program, path, offset) => object.attachUprobe(program, path, offset) : undefined);
    this.#python = new PythonPrograms(
      new BpfMap(object.mapFd('python_programs'), 'python_programs', 4, SIZE_PYTHON_PROGRAM), bits,
      hasUprobes() ? (program, path, offset, tgid) => object.attachUprobe(program, path, offset, tgid) : undefined,
      new UvloopPrograms(new BpfMap(object.mapFd('uvloop_programs'), 'uvloop_programs', 4, 4), (offset, path, tgid) => object.attachUprobe('python_queues', path, offset, tgid)));
    this.#nodeCounts = new BpfMap(object.mapFd('node_counts'), 'node_counts', 4, SIZE_NODE_COUNTS);
    this.#node = new NodePrograms(
      new BpfMap(object.mapFd('node_programs'), 'node_programs', 4, SIZE_NODE_PROGRAM), bits,
      options.walksNode === undefined ? undefined : () => this.#walkNode(options),
      (tgid, version) => options.onUnknownV8?.(tgid, version), options.walksNode === 'bounded');
    this.#java = new JavaPrograms(
      new BpfMap(object.mapFd('java_programs'), 'java_programs', 4, SIZE_JAVA_PROGRAM), new BpfMap(object.mapFd('java_heaps'), 'java_heaps', 4, SIZE_JAVA_HEAP),
      new BpfMap(object.mapFd('java_waits'), 'java_waits', 4, SIZE_JAVA_WAITS), bits, (tgid, why) => options.onUnknownVirtualThreads?.(tgid, why));
  }

  get ringFd(): number {
    return this.#object.mapFd('ring');
  }

  /** Of Node programs, so far. */
  get nodeReads(): NodeReads {
    const counts = new DataView(this.#nodeCounts.get(u32(0))!.buffer);
    const count = (offset: number): number => Number(counts.getBigUint64(offset, true));
    return { walked: count(OFFSET_NODE_COUNTS_WALKED), leftOut: count(OFFSET_NODE_COUNTS_LEFT_OUT) };
  }

  get lossesFd(): number {
    return this.#object.mapFd('losses');
  }

  /** From now on what this process does is recorded, and what its children do. */
  watch(tgid: number): void {
    this.watched.set(u32(tgid), u32(1));
    this.#slots.set(u32(tgid & 0xffff), u32(tgid));
    this.#look(tgid);
  }

  /** This command is about to be run: the files that it names are read now, for later there is little time. */
  expect(command: readonly string[]): void {
    for (const word of command) {
      const [path] = commandFiles(word);
      if (path === undefined) continue;
      this.#go.expect(path);
      this.#node.expect(path);
    }
  }

  /** A watched process has executed a file. Until this is called its goroutines, Python's contexts or Java's virtual threads, should it have any, are not known. */
  executed(tgid: number): void {
    this.#look(tgid, true);
  }

  /** What a watched process runs. `fresh`: it has only begun to. */
  #look(tgid: number, fresh = false): void {
    if (this.#go.add(tgid)) return;
    this.#python.add(tgid, fresh);
    this.#java.add(tgid, fresh);
    this.#node.add(tgid, fresh);
  }

  /** A watched process has made another, which runs the same until it executes something. */
  forked(parent: number, tgid: number): void {
    this.#python.forked(parent, tgid);
    this.#node.forked(parent, tgid);
  }

  /** From now on it is told which thread wakes one that waited for it. Costs some at each switch of threads on this host. Throws LoadError. */
  tellWakeups(): void {
    if (!this.#detached) this.#wakes ??= attachBeside(WAKES_PROGRAMS, this.#main, OWN_MAPS);
  }

  /** From now on whose each call is, is read from Node's memory. False: this kernel can't. */
  #walkNode({ onNoNodeMemory }: ProbeOptions): boolean {
    if (this.#detached) return false;
    try {
      this.#walks ??= attachBeside(NODE_PROGRAMS, this.#main, new Set([...OWN_MAPS, WALKS]));
      return true;
    } catch (error) {
      if (!(error instanceof LoadError)) throw error;
      onNoNodeMemory?.(error.message);
      return false;
    }
  }

  isWatched(tgid: number): boolean {
    return this.watched.get(u32(tgid)) !== undefined;
  }

  /** How often the kernel skipped what follows forks, execs and filters. */
  missedFollowers(): number {
    return this.#followers.count();
  }

  /** It has ended, and its end was not seen. */
  unwatch(tgid: number): void {
    this.watched.delete(u32(tgid));
    this.#go.forget(tgid);
    this.#python.forget(tgid);
    this.#java.forget(tgid);
    this.#node.forget(tgid);
  }

  watchedProcesses(): number[] {
    return [...this.watched.keys()].map((key) => new DataView(key.buffer).getUint32(0, true));
  }

  /** Finds listeners and connections that are older than the probes. Call when all targets are watched. */
  findExisting(): void {
    if (this.#watchesAll) for (const { tgid } of allProcesses()) this.#look(tgid);
    for (const iterator of ITERATORS) this.#object.iterate(iterator);
  }

  /**
   * Where these processes live, and where we do, helper datagrams reach nobody from now on. Returns why not, for each network where
   * that can't be had (a kernel before 5.9, rights).
   */
  hideHelperAddress(tgids: readonly number[]): readonly string[] {
    try {
      this.#helperAddress ??= new HelperAddress(objectPath(), this.#object, OWN_MAPS);
      return this.#helperAddress.hideFrom([process.pid, ...tgids]);
    } catch (error) {
      if (!(error instanceof LoadError)) throw error;
      return [error.message];
    }
  }

  /** No more events; the maps can still be read. */
  detach(): void {
    this.#detached = true;
    for (const one of [this.#wakes, this.#walks, this.#object, ...this.#copies]) one?.detach();
    this.#helperAddress?.close();
  }

  close(): void {
    this.#helperAddress?.close();
    this.#followers.close();
    this.#go.close();
    this.#python.close();
    this.#java.close();
    for (const one of [this.#wakes, this.#walks, ...this.#copies, this.#object]) one?.close();
  }
}

/** Elements of a PER_CPU_ARRAY (bpf/maps.h): one for each CPU that there may be, by its number. */
export function possibleCpus(): number {
  const text = readFileSync('/sys/devices/system/cpu/possible', 'utf8').trim();
  return 1 + Math.max(...text.split(',').map((range) => Number(range.split('-').at(-1))));
}

/** Without these a process may begin, join or listen unseen. */
const FOLLOWERS = ['process_fork', 'process_exec', 'process_exit', 'tcp_state', ...CGROUP_PROGRAMS] as const;
/** What a copy must not share: the scratch of a program that may be preempted in the midst of using it. */
const OWN_MAPS = new Set(['exe_text']);
const WALKS = 'node_walks';

interface Opened {
  readonly object: BpfObject;
  /** The tracepoints' programs once more, over the same maps (bpf/claim.h). */
  readonly copies: readonly BpfObject[];
  readonly attached: readonly string[];
  readonly appendSight: AppendSight;
  readonly packets: boolean;
  /** Of programs that are loaded once. */
  readonly knobs: Uint8Array;
}

/** Who is refused is asked once more, aloud: what the verifier says of it is heard on this thread only. */
async function open(row: Backend, btf: KernelBtf, options: ProbeOptions): Promise<Opened> {
  try {
    return await openBy(row, btf, options, (object) => object.loadAside());
  } catch (error) {
    if (!(error instanceof LoadError)) throw error;
    return openBy(row, btf, options, (object) => { object.load(); });
  }
}

async function openBy(row: Backend, btf: KernelBtf, options: ProbeOptions, load: (object: BpfObject) => Promise<void> | void): Promise<Opened> {
  const cgroupMount = cgroupRoot();
  const optional = Object.entries(row.optional)
    .filter(([, target]) => btf.functionId(target) !== undefined).map(([name]) => name);
  const hooks = options.appends === true ? appendHooks(row, btf) : [];
  const wantCgroups = options.cgroups.length > 0;
  const attached = [...COMMON_PROGRAMS, ...row.programs, ...optional, ...hooks.map(([name]) => name), ...(wantCgroups ? CGROUP_PROGRAMS : [])];
  const object = new BpfObject(objectPath());
  const copies: BpfObject[] = [];
  const copyCount = tracepointCopies();
  try {
    const maySeePages = mayFindPages(btf);
    object.choose(new Set([...attached, ...(copyCount === 1 ? [INTERRUPTED_PROGRAM] : []), ...ITERATORS, ...(hasUprobes() ? UPROBES : []), ...(maySeePages ? [PAGES_ITERATOR] : []), ...(cgroupMount === undefined ? [] : [PACKETS_PROGRAM])]));
    object.setReadOnly(knobs(btf, options, copyCount, 0));
    object.setMaxEntries('ring', options.ringBytes);
    object.setMaxEntries('connections', options.maxConnections);
    for (const map of PER_CPU) object.setMaxEntries(map, possibleCpus());
    // 100 KiB each: whoever walks has its own.
    object.setMaxEntries(WALKS, 1);
    for (const [map, bytes] of VALUE_SIZES) object.checkValueSize(map, bytes);
    await load(object);
    fillMaps(object, options, cgroupMount);
    const pages = maySeePages && findPages(object);
    for (const name of attached) object.attach(name);
    if (copyCount === 1) object.attach(INTERRUPTED_PROGRAM);
    const again = attached.filter(isTracepointProgram);
    for (let index = 1; index < copyCount; index++) {
      const copy = new BpfObject(objectPath());
      copies.push(copy);
      copy.choose(new Set(again));
      copy.setReadOnly(knobs(btf, options, copyCount, index));
      copy.shareMaps(object, OWN_MAPS);
      await load(copy);
      // After the copy before it: the kernel calls them in this order.
      for (const name of again) copy.attach(name);
    }
    let packets = pages;
    if (!pages && cgroupMount !== undefined) {
      const fd = openSync(cgroupMount, 'r');
      try {
        object.attachCgroup(PACKETS_PROGRAM, fd);
        packets = true;
      } finally {
        closeSync(fd);
      }
    }
    return { object, copies, attached, appendSight: sightOf(hooks), packets, knobs: knobs(btf, options, 1, 0) };
  } catch (error) {
    for (const one of [...copies, object]) one.close();
    throw error;
  }
}

/** Maps with an element for each CPU (PER_CPU_ARRAY of bpf/maps.h): their size is set before they are made. */
export const PER_CPU = ['losses', 'state_runs'] as const;
const VALUE_SIZES = [
  ['connections', SIZE_CONNECTION], ['unreported', SIZE_CONNECTION], ['losses', SIZE_CPU_LOSSES], ['state_runs', SIZE_STATE_RUN], ['shared', SIZE_SHARED],
  ['go_programs', SIZE_GO_PROGRAM], ['python_programs', SIZE_PYTHON_PROGRAM], ['node_programs', SIZE_NODE_PROGRAM], ['node_counts', SIZE_NODE_COUNTS], ['java_programs', SIZE_JAVA_PROGRAM], ['java_heaps', SIZE_JAVA_HEAP], ['java_waits', SIZE_JAVA_WAITS], ['cgroup_paths', SIZE_PATH_FILTER], ['exe_paths', SIZE_PATH_FILTER], ['.rodata', SIZE_KNOBS],
] as const;
