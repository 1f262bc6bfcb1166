/**
 * Checks that each file says its licence (REUSE specification 3.3): `npm run check`. The C of the kernel side says it in
 * its first line (`bpf/event.h` MIT, the rest GPL-2.0-only, since the kernel lends its helpers to GPL programs only); for
 * every other file REUSE.toml does. Every licence named has its text in LICENSES/.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const SPDX = /SPDX-License-Identifier[:" =]+([\w.-]+)/;
const faults: string[] = [];
const used = new Set<string>();

for (const entry of readdirSync(path.join(root, 'bpf'), { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !/\.[ch]$/.test(entry.name)) continue;
  const file = path.relative(root, path.join(entry.parentPath, entry.name));
  const said = SPDX.exec(readFileSync(path.join(root, file), 'utf8').split('\n', 1)[0] ?? '')?.[1];
  const due = file === 'bpf/event.h' ? 'MIT' : 'GPL-2.0-only';
  if (said !== due) faults.push(`${file}:1: the first line must be the SPDX line of ${due} (says ${said ?? 'none'})`);
  if (said !== undefined) used.add(said);
}
const rest = SPDX.exec(readFileSync(path.join(root, 'REUSE.toml'), 'utf8'))?.[1];
if (rest === undefined) faults.push('REUSE.toml names no licence');
else used.add(rest);
for (const licence of used) {
  if (!existsSync(path.join(root, 'LICENSES', `${licence}.txt`))) faults.push(`LICENSES/${licence}.txt is missing`);
}
for (const fault of faults) console.error(fault);
console.log(`licences: ${[...used].sort().join(', ')}; ${faults.length} faults`);
process.exitCode = faults.length === 0 ? 0 : 1;
