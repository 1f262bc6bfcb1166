/**
 * What the processes of one cgroup reach by unix sockets (bpf/gate/unix.bpf.c): names that lead where they did, names that lead
 * elsewhere, and all others, which are refused. Holds for sockets made in that cgroup; those made before are not seen. The
 * kernel takes it away with the process that holds it, however that ends.
 */
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { EnvironmentError } from '../errors.ts';
import { KernelBtf } from './btf.ts';
import { BpfObject } from './libbpf.ts';
import { BpfMap } from './map.ts';
import { cgroupRoot, objectPath } from './probes.ts';

/** sizeof(sockaddr_un.sun_path). */
export const UNIX_NAME_BYTES = 108;
const PROG_TYPE_CGROUP_SOCK_ADDR = 18;
/** enum bpf_attach_type: BPF_CGROUP_UNIX_CONNECT and _SENDMSG, since 6.7. */
const PROGRAMS = { gate_connect: 49, gate_send: 50 } as const;

/** Why this kernel can't, or undefined when nothing speaks against it. */
export function gateRefusal(): string | undefined {
  let btf: KernelBtf;
  try {
    btf = new KernelBtf();
  } catch (error) {
    return (error as Error).message;
  }
  try {
    return btf.functionId('bpf_sock_addr_set_sun_path') === undefined ? 'this kernel does not ask about unix sockets (Linux ≥6.7 does)' : undefined;
  } finally {
    btf.close();
  }
}

/** Zeros behind; cut where it is too long to be one. */
function nameBytes(name: string): Uint8Array {
  const bytes = new Uint8Array(UNIX_NAME_BYTES);
  bytes.set(Buffer.from(name, 'latin1').subarray(0, UNIX_NAME_BYTES));
  return bytes;
}

export class UnixGate {
  readonly #object: BpfObject;
  readonly #ways: BpfMap;
  readonly #refused: BpfMap;
  #isOpen = true;

  /** `ways` (names as latin1, abstract ones begin with NUL): where each name leads; '' is where it always did. Throws EnvironmentError. */
  constructor(cgroup: string, ways: ReadonlyMap<string, string>) {
    this.#object = new BpfObject(objectPath('unix-gate.bpf.o'));
    try {
      for (const [name, type] of Object.entries(PROGRAMS)) this.#object.setType(name, PROG_TYPE_CGROUP_SOCK_ADDR, type);
      this.#object.load();
      this.#ways = new BpfMap(this.#object.mapFd('ways'), 'ways', UNIX_NAME_BYTES, UNIX_NAME_BYTES);
      this.#refused = new BpfMap(this.#object.mapFd('refused'), 'refused', UNIX_NAME_BYTES, 8);
      for (const [name, to] of ways) this.#ways.set(nameBytes(name), nameBytes(to));
      const fd = openFolder(join(cgroupRoot() ?? '', cgroup));
      try {
        for (const name of Object.keys(PROGRAMS)) this.#object.attachCgroup(name, fd);
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      this.#object.close();
      throw error;
    }
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Names that were asked for in vain so far, while it is open. */
  get refused(): string[] {
    return [...this.#refused.keys()].map((key) => {
      const name = Buffer.from(key).toString('latin1');
      return name.startsWith('\0') ? name.replace(/\0+$/, '') : name.replace(/\0[^]*$/, '');
    });
  }

  /** Everything leads where it did. May be called twice. */
  close(): void {
    this.#isOpen = false;
    this.#object.close();
  }
}

function openFolder(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw new EnvironmentError(`Cannot open the cgroup ${path}: ${(error as Error).message}`);
  }
}
