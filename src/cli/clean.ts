/** `koala-bpf clean`: takes away what replays that were killed left on this host. */
import type { ArgumentsCamelCase, Argv } from 'yargs';
import { EnvironmentError, EXIT } from '../errors.ts';
import { clean } from '../replay/clean.ts';
import { withJson } from './command.ts';

interface Flags {
  json: boolean;
}

export const command = 'clean';
export const describe = 'take away what replays that were killed left on this host';

export const builder = (yargs: Argv): Argv<Flags> => withJson(yargs)
  .example('$0 clean', 'lists what it finds, and removes it; a replay that runs is left alone');

export function handler({ json }: ArgumentsCamelCase<Flags>): void {
  if (process.getuid?.() !== 0) throw new EnvironmentError('clean needs root: it looks into firewalls and cgroups', 'run it with sudo');
  const found = clean();
  for (const { kind, what, problem } of found) {
    process.stdout.write(json ? `${JSON.stringify({ event: 'leftover', kind, what, removed: problem === undefined, ...(problem === undefined ? {} : { problem }) })}\n`
      : problem === undefined ? `removed: ${what}\n` : `left: ${what}: ${problem}\n`);
  }
  if (!json && found.length === 0) process.stdout.write('nothing was left behind\n');
  if (found.some(({ problem }) => problem !== undefined)) process.exitCode = EXIT.environment;
}
