/**
 * What the SUT sees of the host's unix sockets: nothing. Their paths are covered in its mount namespace, and those of
 * recorded dependencies lead to us. Only mounts of that namespace are made, nothing on the host, so nothing has to be undone.
 */
import { spawn } from 'node:child_process';
import { EnvironmentError } from '../errors.ts';

/** A folder of the namespace's own /proc that nobody needs, under a tmpfs since `confine`: our sockets, and what overlays take. */
export const SCRATCH = '/proc/fs';
const COMMAND_MS = 60_000;

/** Each line of input is a path, escaped for printf's %b. Prints, for each that failed, the line's number (from 0) and why. */
const EACH = `
number=0
while IFS= read -r line; do
  path=$(printf '%b.' "$line"); path=\${path%.}
  said=$(handle 2>&1) || echo "$number $said" | head -n 1
  number=$((number + 1))
done`;

/** connect() to what is no socket is refused. A path that is gone by now, hidden from this user, or leads to us, needs no cover. */
const HIDE = `ours=$(stat -c %d ${SCRATCH})
handle() {
  [ -S "$path" ] && [ "$(stat -c %d "$path")" != "$ours" ] || return 0
  mount --bind /dev/null "$path" || [ ! -S "$path" ]
}${EACH}`;

/**
 * A path that does not exist is made in an overlay over the deepest folder of it that does: the host's folder stays as it
 * is, and what is mounted in it is mounted there again.
 */
const LEAD = `scratch=${SCRATCH}
cover() {
  here=$scratch/$number
  mkdir "$here" "$here/upper" "$here/work" "$here/old" && mount --rbind "$1" "$here/old" || return 1
  chown --reference="$1" "$here/upper" 2>/dev/null; chmod --reference="$1" "$here/upper" || return 1
  awk -v top="\${1%/}/" 'index($5, top) == 1 { print substr($5, length(top) + 1) }' /proc/self/mountinfo >"$here/inside"
  (cd "$1" && mount -t overlay -o "lowerdir=.,upperdir=$here/upper,workdir=$here/work" koala-bpf "$1") || return 1
  while IFS= read -r line; do
    inside=$(printf '%b.' "$line"); inside=\${inside%.}
    [ ! -e "$here/old/$inside" ] || mount --rbind "$here/old/$inside" "$1/$inside"
  done <"$here/inside"
  umount -l "$here/old"
}
handle() {
  if [ ! -e "$path" ]; then
    folder=$(dirname "$path")
    while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
    [ "$folder" != / ] || { echo "no folder of that path exists here"; return 1; }
    [ "$(findmnt -n -o SOURCE -T "$folder")" = koala-bpf ] || cover "$folder" || return 1
    mkdir -p "$(dirname "$path")" && : >"$path" || return 1
  fi
  [ ! -d "$path" ] || { echo "it is a folder here"; return 1; }
  mount --bind "$scratch/$number.sock" "$path"
}${EACH}`;

const escaped = (path: string): string => path.replace(/[^\w/.@:=+,-]/g, (one) => `\\0${one.charCodeAt(0).toString(8).padStart(3, '0')}`);

/** Runs a script for each path in the mount namespace of `pid`; what it said of those that failed, by path. */
function inMountsOf(pid: number, script: string, paths: readonly string[]): Promise<Map<string, string>> {
  return new Promise((resolve, reject) => {
    // In its pid namespace too: the /proc there knows no others, and mount and findmnt read /proc/self.
    const child = spawn('nsenter', [`--mount=/proc/${pid}/ns/mnt`, `--pid=/proc/${pid}/ns/pid_for_children`, '--', 'sh', '-c', script], { stdio: ['pipe', 'pipe', 'pipe'], timeout: COMMAND_MS });
    let said = '';
    let wrong = '';
    child.stdout.on('data', (text: Buffer) => { said += text.toString('latin1'); });
    child.stderr.on('data', (text: Buffer) => { wrong += text.toString('latin1'); });
    child.on('error', (error) => { reject(new EnvironmentError(`Cannot enter the service's mounts: ${error.message}`, 'install util-linux')); });
    child.on('close', (status, signal) => {
      if (status !== 0) reject(new EnvironmentError(`Cannot enter the service's mounts: ${wrong.trim() || `nsenter ended with ${status ?? signal}`}`));
      else resolve(new Map(said.split('\n').flatMap((line) => {
        const [, number = '', why = ''] = /^(\d+) (.*)$/.exec(line) ?? [];
        return number === '' ? [] : [[paths[Number(number)] ?? '', why] as const];
      })));
    });
    child.stdin.on('error', () => { /* its status says more */ });
    child.stdin.end(paths.map((path) => `${escaped(path)}\n`).join(''));
  });
}

/** Makes connecting to each of `paths` (latin1) fail with ECONNREFUSED in the mounts of `pid`; those that could not be covered, and why. */
export function hideSockets(pid: number, paths: readonly string[]): Promise<ReadonlyMap<string, string>> {
  return paths.length === 0 ? Promise.resolve(new Map()) : inMountsOf(pid, HIDE, paths);
}

/** Where the socket that is to be found at `paths[index]` has to listen, as a process outside of the mounts of `pid` sees it. */
export function playedSocket(pid: number, index: number): string {
  return `/proc/${pid}/root${SCRATCH}/${index}.sock`;
}

/** Lets each of `paths` (text, absolute) lead to its `playedSocket`, which must listen already; those for which it failed, and why. */
export async function leadToPlayed(pid: number, paths: readonly string[]): Promise<ReadonlyMap<string, string>> {
  if (paths.length === 0) return new Map();
  const bytes = new Map(paths.map((path) => [Buffer.from(path).toString('latin1'), path]));
  return new Map([...await inMountsOf(pid, LEAD, [...bytes.keys()])].map(([path, why]) => [bytes.get(path) ?? path, why]));
}
