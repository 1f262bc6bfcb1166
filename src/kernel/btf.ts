/** What the running kernel's BTF says of functions and tracepoints. */
import { EnvironmentError } from '../errors.ts';
import { libbpf, takeLog } from './libbpf.ts';
import type { Pointer } from './ffi.ts';

const KIND_TYPEDEF = 8;
const KIND_FUNC = 12;

export class KernelBtf {
  readonly #btf: Pointer;

  /** Throws EnvironmentError where the kernel has none. */
  constructor() {
    this.#btf = libbpf().btf__load_vmlinux_btf();
    if (this.#btf === null) {
      takeLog();
      throw new EnvironmentError(
        'This kernel has no BTF (/sys/kernel/btf/vmlinux)',
        'use a kernel built with CONFIG_DEBUG_INFO_BTF=y, as the distributions\' are since 2021');
    }
  }

  hasTracepoint(name: string): boolean {
    return this.#find(`btf_trace_${name}`, KIND_TYPEDEF) > 0;
  }

  /** BTF id of a kernel function; undefined when there is none of the name. */
  functionId(name: string): number | undefined {
    const id = this.#find(name, KIND_FUNC);
    return id > 0 ? id : undefined;
  }

  /** How many arguments a kernel function takes. */
  argumentCount(name: string): number | undefined {
    const id = this.functionId(name);
    const type = id === undefined ? undefined : libbpf().btfType(this.#btf, id);
    return type === undefined ? undefined : libbpf().btfType(this.#btf, type.type)?.length;
  }

  close(): void {
    libbpf().btf__free(this.#btf);
  }

  #find(name: string, kind: number): number {
    return libbpf().btf__find_by_name_kind(this.#btf, name, kind);
  }
}
