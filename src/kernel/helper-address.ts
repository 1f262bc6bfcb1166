/**
 * Nobody receives helper datagrams (bpf/helper.bpf.c): neither who listens on 127.127.127.127:127 nor who does on every address. In each
 * network namespace where that is asked for, until `close`.
 */
import { closeSync, openSync, readlinkSync } from 'node:fs';
import { EnvironmentError } from '../errors.ts';
import { BpfObject } from './libbpf.ts';

const PROGRAM = 'helper_reaches_nobody';

export class HelperAddress {
  readonly #object: BpfObject;
  readonly #networks = new Set<string>();

  /** `path`: of the kernel object; `probes`: the one that is loaded, whose maps it shares but for `ownMaps`. Throws EnvironmentError. */
  constructor(path: string, probes: BpfObject, ownMaps: ReadonlySet<string>) {
    this.#object = new BpfObject(path);
    try {
      this.#object.choose(new Set([PROGRAM]));
      this.#object.shareMaps(probes, ownMaps);
      this.#object.load();
    } catch (error) {
      this.#object.close();
      throw error;
    }
  }

  /** In the network namespaces of these processes. Says why not, for each where that is so. */
  hideFrom(tgids: readonly number[]): string[] {
    const problems: string[] = [];
    for (const tgid of tgids) {
      let fd: number | undefined;
      try {
        const network = readlinkSync(`/proc/${tgid}/ns/net`);
        if (this.#networks.has(network)) continue;
        this.#networks.add(network);
        fd = openSync(`/proc/${tgid}/ns/net`, 'r');
        this.#object.attachNetwork(PROGRAM, fd);
      } catch (error) {
        if (error instanceof EnvironmentError) problems.push(error.message);
        // Else it has ended, or is none of ours.
      } finally {
        if (fd !== undefined) closeSync(fd);
      }
    }
    return problems;
  }

  close(): void {
    this.#object.close();
  }
}
