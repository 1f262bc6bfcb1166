/**
 * The only door to the FFI binding (checked by scripts/check-imports), so that it can be exchanged. Each function is
 * declared with its C signature; nothing here decides anything.
 */
import koffi from 'koffi';

/** An address of this process, as the binding hands it out: compared with null, handed back, nothing else. */
export type Pointer = { readonly __pointer: never } | null;

const libc = koffi.load('libc.so.6');

/** libc, as declared in the headers of glibc. Each returns −1 on failure; ask `errno()` before anything else runs. */
export const c = {
  setns: libc.func('int setns(int fd, int nstype)') as unknown as (fd: number, nstype: number) => number,
  socket: libc.func('int socket(int domain, int type, int protocol)') as unknown as (
    domain: number, type: number, protocol: number) => number,
  bind: libc.func('int bind(int fd, const uint8_t *address, uint32_t length)') as unknown as (
    fd: number, address: Uint8Array, length: number) => number,
  connect: libc.func('int connect(int fd, const uint8_t *address, uint32_t length)') as unknown as (
    fd: number, address: Uint8Array, length: number) => number,
  /** For what glibc 2.31 has no name for. */
  syscall: libc.func('long syscall(long number, long a, long b, long c)') as unknown as (
    number: number, a: number, b: number, c: number) => number,
  close: libc.func('int close(int fd)') as unknown as (fd: number) => number,
  getsockopt: libc.func('int getsockopt(int fd, int level, int name, _Out_ uint8_t *value, _Inout_ uint32_t *length)') as
    unknown as (fd: number, level: number, name: number, value: Uint8Array, length: [number]) => number,
  getpeername: libc.func('int getpeername(int fd, _Out_ uint8_t *address, _Inout_ uint32_t *length)') as unknown as (
    fd: number, address: Uint8Array, length: [number]) => number,
  getsockname: libc.func('int getsockname(int fd, _Out_ uint8_t *address, _Inout_ uint32_t *length)') as unknown as (
    fd: number, address: Uint8Array, length: [number]) => number,
  shutdown: libc.func('int shutdown(int fd, int how)') as unknown as (fd: number, how: number) => number,
  mmap: libc.func('void *mmap(void *address, size_t length, int protection, int flags, int fd, int64_t offset)') as
    unknown as (address: null, length: number, protection: number, flags: number, fd: number, offset: number) => Pointer,
  munmap: libc.func('int munmap(void *address, size_t length)') as unknown as (address: Pointer, length: number) => number,
  read: libc.func('intptr_t read(int fd, _Out_ uint8_t *into, size_t length)') as unknown as (
    fd: number, into: Uint8Array, length: number) => number,
  vsnprintf: libc.func('int vsnprintf(_Out_ uint8_t *into, size_t size, const char *format, void *arguments)') as
    unknown as (into: Uint8Array, size: number, format: string, args: Pointer) => number,
  setsockopt: libc.func('int setsockopt(int fd, int level, int name, const uint8_t *value, uint32_t length)') as
    unknown as (fd: number, level: number, name: number, value: Uint8Array, length: number) => number,
};

/** errno of the last call of this thread through this door. */
export function errno(): number {
  return koffi.errno();
}

/** `ECONNREFUSED` for 111; the number as text where libc has no name for it. */
export function errnoName(code: number): string {
  const found = Object.entries(koffi.os.errno as Record<string, number>).find(([, value]) => value === code);
  return found?.[0] ?? `errno ${code}`;
}

/** `length` bytes of memory at `address`, without a copy: valid as long as what is mapped there. */
export function viewMemory(address: Pointer, length: number): ArrayBuffer {
  return koffi.view(address, length);
}

/** True for a null pointer and for mmap's MAP_FAILED. */
export function isNoAddress(address: Pointer): boolean {
  return address === null || koffi.address(address) === 0xffff_ffff_ffff_ffffn;
}

/** libbpf ≥1.1, as declared in bpf/libbpf.h, bpf/bpf.h and bpf/btf.h. Loaded at the first use: replay needs none. */
export type Libbpf = ReturnType<typeof declareLibbpf>;

let libbpf: Libbpf | undefined;

/** Throws the dynamic linker's error where the library is absent. */
export function loadLibbpf(): Libbpf {
  libbpf ??= declareLibbpf();
  return libbpf;
}

function declareLibbpf() {
  const library = koffi.load('libbpf.so.1');
  type P = Pointer;
  const declare = <F>(signature: string): F => library.func(signature) as unknown as F;
  const print = koffi.proto('int KoalaLibbpfPrint(int level, const char *format, void *arguments)');
  const setPrint = library.func('void *libbpf_set_print(void *callback)');
  const load = library.func('int bpf_object__load(void *object)');
  let printer: ReturnType<typeof koffi.register> | null = null;
  return {
    libbpf_version_string: declare<() => string>('const char *libbpf_version_string()'),
    /** Keep the returned callback as long as libbpf may print. */
    setPrint: (callback: (level: number, format: string, args: Pointer) => number): void => {
      printer = koffi.register(callback, koffi.pointer(print));
      setPrint(printer);
    },
    /** Whether libbpf may print. Its callback runs on this thread: who prints on another one waits until this one is idle. */
    letPrint: (isAllowed: boolean): void => { setPrint(isAllowed ? printer : null); },
    bpf_object__open_file: declare<(path: string, options: null) => P>(
      'void *bpf_object__open_file(const char *path, void *options)'),
    bpf_object__load: load as unknown as (object: P) => number,
    /** The same on a thread of its own. */
    loadAside: (object: P): Promise<number> => new Promise((resolve, reject) => {
      load.async(object, (error: Error | null, result: number) => {
        if (error === null) resolve(result);
        else reject(error);
      });
    }),
    bpf_object__close: declare<(object: P) => void>('void bpf_object__close(void *object)'),
    bpf_object__next_program: declare<(object: P, previous: P) => P>(
      'void *bpf_object__next_program(void *object, void *previous)'),
    bpf_object__find_map_by_name: declare<(object: P, name: string) => P>(
      'void *bpf_object__find_map_by_name(void *object, const char *name)'),
    bpf_program__name: declare<(program: P) => string>('const char *bpf_program__name(void *program)'),
    bpf_program__set_autoload: declare<(program: P, load: boolean) => number>(
      'int bpf_program__set_autoload(void *program, bool load)'),
    bpf_program__set_type: declare<(program: P, type: number) => number>('int bpf_program__set_type(void *program, int type)'),
    bpf_program__set_expected_attach_type: declare<(program: P, type: number) => number>(
      'int bpf_program__set_expected_attach_type(void *program, int type)'),
    bpf_program__fd: declare<(program: P) => number>('int bpf_program__fd(void *program)'),
    /** `length`: of `info`, whose layout is that of <linux/bpf.h>; more than this kernel knows is cut. */
    bpf_obj_get_info_by_fd: declare<(fd: number, info: Uint8Array, length: Uint32Array) => number>(
      'int bpf_obj_get_info_by_fd(int fd, _Inout_ uint8_t *info, uint32_t *length)'),
    bpf_program__attach: declare<(program: P) => P>('void *bpf_program__attach(void *program)'),
    bpf_program__attach_uprobe: declare<(program: P, onReturn: boolean, pid: number, path: string, offset: number) => P>(
      'void *bpf_program__attach_uprobe(void *program, bool retprobe, int pid, const char *path, size_t offset)'),
    bpf_program__attach_cgroup: declare<(program: P, fd: number) => P>(
      'void *bpf_program__attach_cgroup(void *program, int fd)'),
    bpf_program__attach_netns: declare<(program: P, fd: number) => P>(
      'void *bpf_program__attach_netns(void *program, int fd)'),
    bpf_program__attach_iter: declare<(program: P, options: null) => P>(
      'void *bpf_program__attach_iter(void *program, void *options)'),
    bpf_link__fd: declare<(link: P) => number>('int bpf_link__fd(void *link)'),
    bpf_link__destroy: declare<(link: P) => number>('int bpf_link__destroy(void *link)'),
    bpf_iter_create: declare<(fd: number) => number>('int bpf_iter_create(int fd)'),
    bpf_object__next_map: declare<(object: P, previous: P) => P>('void *bpf_object__next_map(void *object, void *previous)'),
    bpf_map__name: declare<(map: P) => string>('const char *bpf_map__name(void *map)'),
    bpf_map__reuse_fd: declare<(map: P, fd: number) => number>('int bpf_map__reuse_fd(void *map, int fd)'),
    bpf_map__fd: declare<(map: P) => number>('int bpf_map__fd(void *map)'),
    bpf_map__value_size: declare<(map: P) => number>('uint32_t bpf_map__value_size(void *map)'),
    bpf_map__set_max_entries: declare<(map: P, entries: number) => number>(
      'int bpf_map__set_max_entries(void *map, uint32_t entries)'),
    bpf_map__set_initial_value: declare<(map: P, data: Uint8Array, size: number) => number>(
      'int bpf_map__set_initial_value(void *map, const uint8_t *data, size_t size)'),
    bpf_map_update_elem: declare<(fd: number, key: Uint8Array, value: Uint8Array, flags: number) => number>(
      'int bpf_map_update_elem(int fd, const uint8_t *key, const uint8_t *value, uint64_t flags)'),
    bpf_map_lookup_elem: declare<(fd: number, key: Uint8Array, value: Uint8Array) => number>(
      'int bpf_map_lookup_elem(int fd, const uint8_t *key, _Out_ uint8_t *value)'),
    bpf_map_delete_elem: declare<(fd: number, key: Uint8Array) => number>(
      'int bpf_map_delete_elem(int fd, const uint8_t *key)'),
    bpf_map_get_next_key: declare<(fd: number, key: Uint8Array | null, next: Uint8Array) => number>(
      'int bpf_map_get_next_key(int fd, const uint8_t *key, _Out_ uint8_t *next)'),
    libbpf_num_possible_cpus: declare<() => number>('int libbpf_num_possible_cpus()'),
    btf__load_vmlinux_btf: declare<() => P>('void *btf__load_vmlinux_btf()'),
    btf__free: declare<(btf: P) => void>('void btf__free(void *btf)'),
    btf__find_by_name_kind: declare<(btf: P, name: string, kind: number) => number>(
      'int btf__find_by_name_kind(void *btf, const char *name, uint32_t kind)'),
    /** A struct btf_type: {name_off, info, size or type}, three u32. */
    btfType: (btf: P, id: number): { kind: number; length: number; type: number } | undefined => {
      const found = library.func('void *btf__type_by_id(void *btf, uint32_t id)')(btf, id) as P;
      if (found === null) return undefined;
      const words = new Uint32Array(koffi.view(found, 12));
      return { kind: ((words[1] ?? 0) >>> 24) & 0x1f, length: (words[1] ?? 0) & 0xffff, type: words[2] ?? 0 };
    },
    bpf_prog_load: declare<(type: number, name: string, license: string, code: Uint8Array, count: number,
      options: Uint8Array) => number>(
      'int bpf_prog_load(int type, const char *name, const char *license, const uint8_t *code, size_t count, ' +
      'const uint8_t *options)'),
    bpf_raw_tracepoint_open: declare<(name: string | null, fd: number) => number>(
      'int bpf_raw_tracepoint_open(const char *name, int fd)'),
  };
}
