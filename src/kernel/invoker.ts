/** Who called sudo: commands that we start run as that user, with that user's groups, and not as root. */
import { existsSync, readFileSync } from 'node:fs';

export interface Invoker {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
  readonly home: string;
}

/** The user behind sudo; undefined when there is none or it is root. */
export function invoker(environment: NodeJS.ProcessEnv = process.env): Invoker | undefined {
  const uid = Number(environment['SUDO_UID']);
  if (process.getuid?.() !== 0 || !Number.isInteger(uid) || uid <= 0) return undefined;
  const passwd = existsSync('/etc/passwd') ? readFileSync('/etc/passwd', 'utf8') : '';
  const entry = passwd.split('\n').map((line) => line.split(':')).find((fields) => Number(fields[2]) === uid);
  return {
    uid,
    gid: Number(environment['SUDO_GID'] ?? entry?.[3] ?? uid),
    name: entry?.[0] ?? environment['SUDO_USER'] ?? String(uid),
    home: entry?.[5] ?? '/',
  };
}

/** In the copy of a command that runs as root of a user namespace of its own: "UID:GID" of the user who is really there. */
export const ROOTLESS = 'KOALA_ROOTLESS';

/**
 * `command` as the invoking user would run it. Not by spawn's `uid` and `gid`, which would drop the supplementary groups.
 * The environment is the caller's, less what sudo and we put there.
 */
export function asInvoker(command: readonly string[], environment: NodeJS.ProcessEnv = process.env):
{ argv: string[]; env: NodeJS.ProcessEnv } {
  const env = Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith('SUDO_') && name !== ROOTLESS));
  const [uid, gid] = (environment[ROOTLESS] ?? '').split(':');
  if (uid !== undefined && gid !== undefined) {
    return { argv: ['unshare', '--user', `--map-user=${uid}`, `--map-group=${gid}`, '--', ...command], env };
  }
  const user = invoker(environment);
  if (user === undefined) return { argv: [...command], env };
  const drop = ['setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, '--init-groups', '--'];
  return { argv: [...drop, ...command], env: { ...env, HOME: user.home, USER: user.name, LOGNAME: user.name } };
}
