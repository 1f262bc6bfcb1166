/** An ordinary user, for commands that root needs not run. */
import { spawnSync } from 'node:child_process';
import { SERVICE } from './stage.ts';

/** Becomes that user, who is in no group. */
export const AS_NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'] as const;

const can = (...command: readonly string[]): boolean => spawnSync(AS_NOBODY[0], [...AS_NOBODY.slice(1), ...command]).status === 0;

/** Why that user can't run what lies in this checkout, or undefined. */
export const hiddenFromOthers = (): string | undefined => (can('test', '-r', SERVICE) ? undefined : 'the checkout lies below a folder that others may not enter');

/** Why that user can't replay, or undefined. */
export const cannotReplayAsNobody = (): string | undefined =>
  hiddenFromOthers() ?? (can('unshare', '--user', '--map-root-user', 'true') ? undefined : 'ordinary users may not make user namespaces');
