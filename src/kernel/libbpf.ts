/** A BPF object's life: opened, told what to load, loaded, attached, closed. What libbpf prints is kept for the error. */
import { EnvironmentError } from '../errors.ts';
import { c, errno, errnoName, loadLibbpf } from './ffi.ts';
import type { Libbpf, Pointer } from './ffi.ts';

/** What is kept of libbpf's and the verifier's words. libbpf gives the verifier 16 MiB and prints its log in one piece. */
const MAX_LOG_BYTES = 16 * 1024 * 1024;

let log: string[] = [];
let logBytes = 0;
let printing = false;
/** Loads that are under way on threads of their own. */
let quiet = 0;

/** libbpf ≥1.1. Throws EnvironmentError when it is not installed. */
export function libbpf(): Libbpf {
  let library: Libbpf;
  try {
    library = loadLibbpf();
  } catch (error) {
    throw new EnvironmentError(
      `Cannot load libbpf.so.1: ${(error as Error).message}`, 'install libbpf ≥1.1 (Debian: apt install libbpf1)');
  }
  if (!printing) {
    printing = true;
    const line = Buffer.allocUnsafeSlow(MAX_LOG_BYTES); // costs memory only where it is written to
    library.setPrint((level, format, args) => {
      if (level > 1) return 0; // warnings and information; debug is noise
      const length = Math.min(c.vsnprintf(line, line.length, format, args), line.length - 1);
      if (length > 0 && logBytes < MAX_LOG_BYTES) {
        log.push(line.toString('utf8', 0, length));
        logBytes += length;
      }
      return 0;
    });
  }
  return library;
}

/** What libbpf printed since the last call. */
export function takeLog(): string {
  const text = log.join('');
  log = [];
  logBytes = 0;
  return text;
}

/** Attaching or loading failed. `log` is everything libbpf and the verifier said. */
export class LoadError extends EnvironmentError {
  readonly log: string;
  readonly errno: number;

  constructor(message: string, errorNumber: number, whole: string) {
    super(`${message}: kernel returned ${errnoName(errorNumber)}`);
    this.errno = errorNumber;
    this.log = whole;
  }
}

const EVERY_PROCESS = -1;

export class BpfObject {
  readonly #library: Libbpf;
  readonly #object: Pointer;
  readonly #links: Pointer[] = [];
  readonly #programs = new Map<string, Pointer>();
  #open = true;

  /** Opens without loading. Throws EnvironmentError naming the file. */
  constructor(path: string) {
    this.#library = libbpf();
    takeLog();
    this.#object = this.#library.bpf_object__open_file(path, null);
    if (this.#object === null) throw new LoadError(`Cannot open ${path}`, errno(), takeLog());
    for (let program = this.#library.bpf_object__next_program(this.#object, null); program !== null;
      program = this.#library.bpf_object__next_program(this.#object, program)) {
      this.#programs.set(this.#library.bpf_program__name(program), program);
    }
  }

  /** Only the named programs will be loaded. */
  choose(names: ReadonlySet<string>): void {
    for (const [name, program] of this.#programs) this.#library.bpf_program__set_autoload(program, names.has(name));
  }

  /** Before `load`: for sections whose names libbpf 1.1 does not know yet. Numbers of enum bpf_prog_type and bpf_attach_type. */
  setType(name: string, type: number, attachType: number): void {
    this.#check(this.#library.bpf_program__set_type(this.#program(name), type), `Cannot set the type of ${name}`);
    this.#check(this.#library.bpf_program__set_expected_attach_type(this.#program(name), attachType), `Cannot set the type of ${name}`);
  }

  setReadOnly(data: Uint8Array): void {
    this.#check(this.#library.bpf_map__set_initial_value(this.#map('.rodata'), data, data.length), 'Cannot set .rodata');
  }

  setMaxEntries(map: string, entries: number): void {
    this.#check(this.#library.bpf_map__set_max_entries(this.#map(map), entries), `Cannot size map ${map}`);
  }

  /** Before `load`: takes over all maps of a loaded object of the same file, but for .rodata and these. */
  shareMaps(other: BpfObject, own: ReadonlySet<string>): void {
    for (let map = this.#library.bpf_object__next_map(this.#object, null); map !== null; map = this.#library.bpf_object__next_map(this.#object, map)) {
      const name = this.#library.bpf_map__name(map);
      if (!own.has(name) && !name.endsWith('.rodata')) this.#check(this.#library.bpf_map__reuse_fd(map, other.mapFd(name)), `Cannot share map ${name}`);
    }
  }

  /** Throws LoadError with the verifier's log. */
  load(): void {
    takeLog();
    this.#checkLoad(this.#library.bpf_object__load(this.#object));
  }

  /** As `load`, while this thread goes on: the verifier takes a second. Nothing is printed meanwhile, so that the LoadError has no log. */
  async loadAside(): Promise<void> {
    takeLog();
    quiet += 1;
    this.#library.letPrint(false);
    try {
      this.#checkLoad(await this.#library.loadAside(this.#object));
    } finally {
      quiet -= 1;
      if (quiet === 0) this.#library.letPrint(true);
    }
  }

  #checkLoad(result: number): void {
    if (result !== 0) {
      const whole = takeLog();
      const program = /prog '([^']+)': failed to load/.exec(whole)?.[1] ?? /prog '([^']+)'/.exec(whole)?.[1];
      throw new LoadError(`Cannot load ${program === undefined ? 'the kernel programs' : program}`, -result, whole);
    }
  }

  /** Attached until `close`. Throws LoadError. */
  attach(name: string): void {
    takeLog();
    this.#keep(this.#library.bpf_program__attach(this.#program(name)), name);
  }

  attachCgroup(name: string, cgroupFd: number): void {
    takeLog();
    this.#keep(this.#library.bpf_program__attach_cgroup(this.#program(name), cgroupFd), name);
  }

  attachNetwork(name: string, networkFd: number): void {
    takeLog();
    this.#keep(this.#library.bpf_program__attach_netns(this.#program(name), networkFd), name);
  }

  /**
   * At the instruction at `offset` of an executable, in process `tgid`, or in every one that runs it; attached until the returned
   * function is called, or `close`.
   */
  attachUprobe(name: string, path: string, offset: number, tgid = EVERY_PROCESS): () => void {
    takeLog();
    const link = this.#library.bpf_program__attach_uprobe(this.#program(name), false, tgid, path, offset);
    this.#keep(link, name);
    return () => {
      const at = this.#links.indexOf(link);
      if (at < 0) return;
      this.#links.splice(at, 1);
      this.#library.bpf_link__destroy(link);
    };
  }

  /** Runs an iterator program over everything it iterates. */
  iterate(name: string): void {
    takeLog();
    const link = this.#library.bpf_program__attach_iter(this.#program(name), null);
    if (link === null) throw new LoadError(`Cannot attach ${name}`, errno(), takeLog());
    try {
      const fd = this.#library.bpf_iter_create(this.#library.bpf_link__fd(link));
      if (fd < 0) throw new LoadError(`Cannot start ${name}`, -fd, takeLog());
      const nothing = new Uint8Array(4096);
      let got: number;
      do got = c.read(fd, nothing, nothing.length);
      while (got > 0 || (got < 0 && (errnoName(errno()) === 'EINTR' || errnoName(errno()) === 'EAGAIN')));
      c.close(fd);
    } finally {
      this.#library.bpf_link__destroy(link);
    }
  }

  /** Of a loaded program. */
  programFd(name: string): number {
    return this.#library.bpf_program__fd(this.#program(name));
  }

  mapFd(name: string): number {
    return this.#library.bpf_map__fd(this.#map(name));
  }

  /** The kernel writes that many bytes, whatever the reader made room for: a stale layout must not corrupt memory. */
  checkValueSize(name: string, expected: number): void {
    const size = this.#library.bpf_map__value_size(this.#map(name));
    if (size !== expected) {
      throw new Error(`koala.bpf.o and src/kernel/layout.ts disagree on map ${name} (${size} and ${expected} bytes): run scripts/build`);
    }
  }

  /** Detaches everything and frees the object; maps live on while somebody holds their descriptors. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.detach();
    this.#library.bpf_object__close(this.#object);
  }

  /** Detaches all probes; the maps stay. */
  detach(): void {
    for (const link of this.#links.splice(0)) this.#library.bpf_link__destroy(link);
  }

  #keep(link: Pointer, name: string): void {
    if (link === null) throw new LoadError(`Cannot attach ${name}`, errno(), takeLog());
    this.#links.push(link);
  }

  #program(name: string): Pointer {
    const program = this.#programs.get(name);
    if (program === undefined) throw new Error(`koala.bpf.o holds no program ${name}`);
    return program;
  }

  #map(name: string): Pointer {
    const map = this.#library.bpf_object__find_map_by_name(this.#object, name);
    if (map === null) throw new Error(`koala.bpf.o holds no map ${name}`);
    return map;
  }

  #check(result: number, what: string): void {
    if (result !== 0) throw new LoadError(what, -result, takeLog());
  }
}
