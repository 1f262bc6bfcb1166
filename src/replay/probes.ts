/** The kernel's probes for a replay: they see whose calls are whose. */
import { ROOTLESS } from '../kernel/invoker.ts';
import { seesFirstPidNamespace } from '../kernel/processes.ts';
import { Probes } from '../kernel/probes.ts';
import { TRACKED_MESSAGE_BYTES, TRACKER_RING_BYTES } from './tracker.ts';

const MAX_CONNECTIONS = 65_536;
/** A signal in the midst of the verifier's work makes the kernel give up (EAGAIN); libbpf tries again a few times, so do we. */
const ATTEMPTS = 3;

/** Loaded, nobody watched yet; undefined where this host or this user's rights don't allow it, which is said. */
export function startProbes(note: (text: string) => void): Probes | undefined {
  const refuse = (why: string): undefined => {
    note(`one session at a time: which call is whose can't be seen (${why.split('\n')[0] ?? ''})`);
  };
  if (process.env[ROOTLESS] !== undefined) return refuse('an ordinary user may load no probes');
  if (!seesFirstPidNamespace()) return refuse('this is a container with process ids of its own');
  for (let attempt = 1; ; attempt += 1) {
    try {
      return new Probes({
        probe: 'auto', ringBytes: TRACKER_RING_BYTES, maxConnections: MAX_CONNECTIONS, maxMessageBytes: TRACKED_MESSAGE_BYTES,
        watchAll: false, ports: [], cgroups: [], executables: [],
      });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (attempt === ATTEMPTS || !message.includes('EAGAIN')) return refuse(message);
    }
  }
}
