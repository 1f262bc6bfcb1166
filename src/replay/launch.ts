/** The service started as the recorded one had been: with its environment, on its arguments, in its folder. */
import type { Launch } from '../store/header.ts';

/** Run as the user whose service it is: what a recording says must not reach what runs as root. Descriptor 6: `launchText`. */
export const LAUNCH_FD = 6;
export const LAUNCH = ['env', '-i', '/bin/sh', '-c', `eval "$(/bin/cat <&${LAUNCH_FD})"; exec ${LAUNCH_FD}<&-; exec "$@"`, 'koala-bpf'] as const;

/** A variable that the shell can hand on; others are dropped by it. */
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

const quoted = (text: string): string => `'${text.replaceAll('\'', '\'\\\'\'')}'`;

/** For a shell: sets the environment, and goes to the folder where one is given. Latin1, as `Launch` has it. */
export function launchText({ environment, folder }: Pick<Launch, 'environment'> & Partial<Pick<Launch, 'folder'>>): string {
  const exported = environment.flatMap((entry) => {
    const at = entry.indexOf('=');
    const name = entry.slice(0, at);
    return NAME.test(name) ? [`export ${name}=${quoted(entry.slice(at + 1))}`] : [];
  });
  return `${folder === undefined ? '' : `cd -- ${quoted(folder)} || exit 126\n`}unset PWD OLDPWD\n${exported.join('\n')}\n`;
}

/** Names that can't be handed on. */
export const droppedNames = ({ environment }: Pick<Launch, 'environment'>): string[] =>
  environment.map((entry) => entry.slice(0, entry.indexOf('='))).filter((name) => !NAME.test(name));
