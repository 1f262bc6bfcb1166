/** A BPF map by its descriptor: keys and values are the kernel's bytes. */
import { errnoName, loadLibbpf } from './ffi.ts';
import { EnvironmentError } from '../errors.ts';

export class BpfMap {
  readonly fd: number;
  readonly #keyBytes: number;
  readonly #valueBytes: number;
  readonly #name: string;

  constructor(fd: number, name: string, keyBytes: number, valueBytes: number) {
    this.fd = fd;
    this.#name = name;
    this.#keyBytes = keyBytes;
    this.#valueBytes = valueBytes;
  }

  /** Throws EnvironmentError, also when the map is full. */
  set(key: Uint8Array, value: Uint8Array): void {
    const result = loadLibbpf().bpf_map_update_elem(this.fd, key, value, 0);
    if (result !== 0) throw new EnvironmentError(`Cannot write map ${this.#name}: kernel returned ${errnoName(-result)}`);
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const value = new Uint8Array(this.#valueBytes);
    return loadLibbpf().bpf_map_lookup_elem(this.fd, key, value) === 0 ? value : undefined;
  }

  delete(key: Uint8Array): void {
    loadLibbpf().bpf_map_delete_elem(this.fd, key);
  }

  /** Keys as they are met; entries that come and go meanwhile may be missed or met twice. */
  *keys(): Generator<Uint8Array> {
    let key: Uint8Array | null = null;
    for (;;) {
      const next: Uint8Array = new Uint8Array(this.#keyBytes);
      if (loadLibbpf().bpf_map_get_next_key(this.fd, key, next) !== 0) return;
      yield next;
      key = next;
    }
  }
}

export function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

export function u64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}
