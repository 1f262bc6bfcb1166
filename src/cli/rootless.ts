/**
 * An ordinary user's replay, as root of a user namespace of its own, in which the kernel allows networks and firewalls to be
 * made: the same command once more, in there. The service's files and rights stay the user's.
 */
import { spawn, spawnSync } from 'node:child_process';
import { EnvironmentError } from '../errors.ts';
import { ROOTLESS } from '../kernel/invoker.ts';
import { signalNumber } from '../record/child.ts';
import { endingSignals, hangupIgnored } from './signals.ts';

/** In the namespace, and ended when this process is, however it ends. Each of the two becomes what follows: its pid is that of the copy. */
const INSIDE = ['unshare', '--user', '--map-root-user', '--', 'setpriv', '--pdeathsig', 'KILL', '--'] as const;

/** Whether this command has to run once more, as root of a namespace: we are neither root nor that copy. */
export const needsNamespace = (): boolean => process.getuid?.() !== 0 && process.env[ROOTLESS] === undefined;

/**
 * Runs this command again in the namespace, and resolves to the status it ended with, 128 + the signal's number where one ended it.
 * Signals are handed on to it, and what they do is for it to say. Throws EnvironmentError where this host does not let users make such namespaces.
 */
export async function rerunRootless(): Promise<number> {
  const [program, ...before] = INSIDE;
  const refuse = (why: string): never => { throw new EnvironmentError(`Cannot confine the service as an ordinary user: ${why}`, 'run it with sudo'); };
  // Once it runs nobody can tell the status of `unshare` from that of the copy.
  const tried = spawnSync(program, [...before, 'true'], { encoding: 'utf8' });
  if (tried.status !== 0) refuse(tried.error?.message ?? tried.stderr.trim());

  // In a process group of its own: what a terminal says to ours is heard once there, from us, and not twice.
  const copy = spawn(program, [...before, process.execPath, ...process.execArgv, ...process.argv.slice(1)], {
    stdio: 'inherit', detached: true, env: { ...process.env, ...hangupIgnored(), [ROOTLESS]: `${process.getuid?.()}:${process.getgid?.()}` },
  });
  const signals = endingSignals();
  const handOn = (name: NodeJS.Signals): void => { copy.kill(name); };
  for (const name of signals) process.on(name, handOn);
  try {
    return await new Promise((resolve, reject) => {
      copy.once('error', reject);
      copy.once('exit', (status, signal) => { resolve(status ?? 128 + signalNumber(signal)); });
    });
  } finally {
    for (const name of signals) process.off(name, handOn);
  }
}
