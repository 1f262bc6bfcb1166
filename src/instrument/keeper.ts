/**
 * A process of its own, beside the recorder, for one network namespace. It talks with inspectors there, so that a conversation
 * that has begun comes to its end (and the inspector is closed) also when the recorder is killed. And it holds the address to
 * which the services' hooks speak: when it ends, which it does as soon as the recorder is gone, they hear so from the kernel
 * and undo themselves.
 *
 * Started with a process id that names the namespace. stdin: a process id a line; stdout: `{tgid, …Answer}` a line, in that order.
 */
import { createInterface } from 'node:readline';
import { deafSocket, enterNetworkNamespace } from '../kernel/namespace.ts';
import { networkOf } from '../kernel/processes.ts';
import { ASKED } from './address.ts';
import { ask } from './asking.ts';

const print = (line: object): void => { process.stdout.write(`${JSON.stringify(line)}\n`); };

// A terminal's Ctrl-C is the recorder's; this process ends with its stdin. Nobody may read stdout any more by then.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.stdout.on('error', () => undefined);

const [where] = process.argv.slice(2).map(Number);
try {
  if (where !== undefined && networkOf(where) !== networkOf(process.pid)) enterNetworkNamespace(where);
  deafSocket(ASKED); // until this process ends
  print({ ready: true });
} catch (error) {
  print({ ready: false, why: (error as Error).message });
}

let turn: Promise<void> = Promise.resolve();
let ended = false;
createInterface({ input: process.stdin }).on('line', (line) => {
  const tgid = Number(line);
  // One after the other: their inspectors want the same port.
  turn = turn.then(async () => { if (!ended) print({ tgid, ...await ask(tgid) }); });
}).on('close', () => { ended = true; });
