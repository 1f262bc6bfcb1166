/** Where a service under replay waits until something has happened on the host: its step says that it is there, and goes on when told to. */
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../services/dependency.ts';
import { processesWith, SERVICE, type Step } from './stage.ts';

export class Gate {
  readonly #folder = mkdtempSync(join(tmpdir(), 'koala-gate-'));
  readonly #path = join(this.#folder, 'open');
  /** The result of it is "there". */
  readonly step: Step = { to: `file:${this.#path}`, send: '', read: 0 };
  /** What `listen` listens on. */
  readonly socket = join(this.#folder, 'late.sock');
  /** How many were made to that socket. */
  connections = 0;
  readonly #server = createServer((socket) => {
    this.connections += 1;
    socket.end();
  });

  /** Until the service waits here. */
  reached(): Promise<void> {
    return until(() => Promise.resolve(existsSync(`${this.#path}.reached`)), 'the service to be at the gate');
  }

  /** A unix socket of the host, which listens from now on. */
  async listen(): Promise<string> {
    await once(this.#server.listen(this.socket), 'listening');
    return this.socket;
  }

  /** Until something is mounted at `path` in the mounts of the service. */
  untilHidden(path: string): Promise<void> {
    const isHidden = (line: string): boolean => readFileSync(`/proc/${line.split(' ', 1)[0]}/mountinfo`, 'utf8').includes(` ${path} `);
    return until(() => Promise.resolve(processesWith(SERVICE).some(isHidden)), `${path} to be hidden`);
  }

  /** Lets the service go on. */
  open(): void {
    writeFileSync(this.#path, '');
  }

  /** The service goes on if it still waits here. */
  remove(): void {
    this.#server.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
