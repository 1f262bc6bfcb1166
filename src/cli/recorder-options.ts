/** How a recorder is started: what its flags mean, what it needs of this host. */
import { EnvironmentError, UserError } from '../errors.ts';
import { PAGE_BYTES } from '../kernel/auxiliary.ts';
import type { ProbeName } from '../kernel/backends.ts';
import type { WhyUnknown } from '../kernel/java/virtual-threads.ts';
import { invoker } from '../kernel/invoker.ts';
import { LoadError } from '../kernel/libbpf.ts';
import { seesFirstPidNamespace } from '../kernel/processes.ts';
import { Recorder, type RecorderOptions } from '../record/recorder.ts';
import type { Targets } from '../record/targets.ts';
import { saveVerifierLog } from '../record/verifier-log.ts';
import { bypasses, sizeFlag } from './environment.ts';

export interface RecorderFlags {
  probe: string;
  ringBytes: string;
  maxConnections: number;
  maxMessage: string | undefined;
  maxDisk: string | undefined;
  minFree: string | undefined;
  segmentBytes: string;
  bypass: string[] | undefined;
  appends: boolean;
  wakeups?: 'on' | 'off' | 'auto';
}

/** Why it can't be told which virtual thread of a JVM's runs. */
export const WHY_UNKNOWN: Readonly<Record<WhyUnknown, string>> = {
  unlike: 'its JVM is not built as those that are known',
};

/** A BPF ring buffer is a power of two of pages, and Node maps it whole. */
const MAX_RING_BYTES = 1 << 30;

/** Throws UserError for what can't be meant. */
export function recorderOptions(flags: RecorderFlags, targets: Targets, dir: string): RecorderOptions {
  const owner = invoker();
  const ringBytes = 2 ** Math.ceil(Math.log2(Math.max(PAGE_BYTES, sizeFlag('ring-bytes', flags.ringBytes))));
  if (ringBytes > MAX_RING_BYTES) throw new UserError(`--ring-bytes ${flags.ringBytes}: at most 1GiB`);
  if (!Number.isInteger(flags.maxConnections) || flags.maxConnections < 1 || flags.maxConnections > 10_000_000) {
    throw new UserError(`--max-connections ${flags.maxConnections}: a number from 1 to 10000000`);
  }
  const maxMessageBytes = flags.maxMessage === undefined ? undefined : sizeFlag('max-message', flags.maxMessage);
  if (maxMessageBytes === 0) throw new UserError('--max-message 0: at least 1 byte; leave it out to keep all');
  return {
    probe: flags.probe as ProbeName | 'auto', ringBytes, maxConnections: flags.maxConnections,
    maxMessageBytes: maxMessageBytes ?? 0,
    appends: flags.appends,
    watchAll: targets.all, ports: targets.ports, cgroups: targets.cgroups, executables: targets.executables,
    wakeups: flags.wakeups === 'off' ? undefined : flags.wakeups,
    filters: process.argv.slice(2),
    writer: {
      dir, segmentBytes: sizeFlag('segment-bytes', flags.segmentBytes), bypass: bypasses(process.env, flags.bypass),
      ...(owner && { owner: { uid: owner.uid, gid: owner.gid } }),
      ...(flags.maxDisk !== undefined && { maxDiskBytes: sizeFlag('max-disk', flags.maxDisk) }),
      ...(flags.minFree !== undefined && { minFreeBytes: sizeFlag('min-free', flags.minFree) }),
    },
  };
}

/** Throws EnvironmentError where nothing can be recorded. */
export function checkRights(): void {
  if (process.geteuid?.() !== 0) {
    throw new EnvironmentError('Recording needs root (BPF programs are loaded into the kernel)', 'run it with sudo');
  }
  if (!seesFirstPidNamespace()) {
    throw new EnvironmentError(
      'koala-bpf runs in a pid namespace of its own, and the kernel tells process ids of the first one',
      'start the container with the host\'s pids (docker run --pid=host, hostPID: true)');
  }
}

/** As `Recorder.start`; what the kernel's verifier said is kept in a file. */
export async function startRecorder(options: RecorderOptions): Promise<Recorder> {
  try {
    return await Recorder.start(options);
  } catch (error) {
    throw error instanceof LoadError ? new EnvironmentError(saveVerifierLog(error)) : error;
  }
}
