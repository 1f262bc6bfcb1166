/** The kernel's probes for a replay: they see whose calls are whose. */
import { ROOTLESS } from '../kernel/invoker.ts';
import { seesFirstPidNamespace } from '../kernel/processes.ts';
import { Probes } from '../kernel/probes.ts';
import { TRACKED_MESSAGE_BYTES, TRACKER_RING_BYTES } from './tracker.ts';

const MAX_CONNECTIONS = 65_536;
/** A signal in the midst of the verifier's work makes the kernel give up (EAGAIN); libbpf tries again a few times, so do we. */
const ATTEMPTS = 3;

/** With fewer sessions than this these are played sooner than the probes are loaded. */
export const FEW = 16;

/** Loaded, nobody watched yet; or why this host or this user's rights don't allow it. */
type Outcome = Probes | { readonly refusal: string };

/**
 * The probes of one run. They take the kernel a second, in which this thread goes on: who may need them has them loaded ahead of
 * time, who does not need them after all closes them.
 */
export class ProbesAhead {
  #loading: Promise<Outcome> | undefined;
  #isTaken = false;

  begin(): void {
    this.#loading ??= load();
  }

  /** Whoever takes them closes them. Undefined where they are refused, which is said. */
  async take(note: (text: string) => void): Promise<Probes | undefined> {
    this.begin();
    this.#isTaken = true;
    const outcome = await (this.#loading as Promise<Outcome>);
    if (outcome instanceof Probes) return outcome;
    note(`one session at a time: which call is whose can't be seen (${outcome.refusal.split('\n')[0] ?? ''})`);
    return undefined;
  }

  /** Those that nobody took. */
  async close(): Promise<void> {
    if (this.#isTaken) return;
    this.#isTaken = true;
    const outcome = await this.#loading;
    if (outcome instanceof Probes) outcome.close();
  }
}

async function load(): Promise<Outcome> {
  if (process.env[ROOTLESS] !== undefined) return { refusal: 'an ordinary user may load no probes' };
  if (!seesFirstPidNamespace()) return { refusal: 'this is a container with process ids of its own' };
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await Probes.load({
        probe: 'auto', ringBytes: TRACKER_RING_BYTES, maxConnections: MAX_CONNECTIONS, maxMessageBytes: TRACKED_MESSAGE_BYTES,
        watchAll: false, ports: [], cgroups: [], executables: [],
      });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (attempt === ATTEMPTS || !message.includes('EAGAIN')) return { refusal: message };
    }
  }
}
