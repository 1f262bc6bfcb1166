/**
 * Whose a chain, a cgroup, a note of changes is: the replayer's process id and the moment it began, so that a later process
 * with the same id is not taken for it. In everything's name, so that what is left behind can be told from what is in use.
 */
import { startTicksOf } from '../kernel/processes.ts';

/** `4711-123456`: process id, and when it began in clock ticks since the host's start. */
export type Owner = string;

export const OWNER = /(\d+-\d+)/;

export function ourselves(): Owner {
  return `${process.pid}-${startTicksOf(process.pid) ?? 0}`;
}

/** Only in the first pid namespace can one tell for every owner. */
export function isAlive(owner: Owner): boolean {
  const [pid, began] = owner.split('-').map(Number);
  return pid !== undefined && startTicksOf(pid) === began;
}

/** Of iptables: at most 28 characters. `what` is empty for the chain that OUTPUT leads to. */
export const chainOf = (owner: Owner, what: '' | 'F' = ''): string => `KOALA${what}-${owner}`;
export const CHAIN = /^KOALAF?-(\d+-\d+)$/;

export const cgroupNameOf = (owner: Owner): string => `koala-bpf-${owner}`;
export const CGROUP_NAME = /^koala-bpf-(\d+-\d+)$/;
