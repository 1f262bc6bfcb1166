/**
 * Records programs/contexts.py, or another service that does the like (COMMAND, which is given the port that it calls), and holds whose each
 * call is said to be against what the program says of itself: `node contexts.mjs PYTHON [PROBE [COMMAND…]]`, of REQUESTS requests (64). Prints {sessions, calls, tied, right, byContext, problems} as JSON; ends with 1 where that is not all
 * right, with 3 where the backend was refused. Plain JavaScript, for it also runs in emulated machines.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const REQUESTS = Number(process.env.REQUESTS ?? 64);
const CALLS = 5;

const [python, probe = 'auto', ...command] = process.argv.slice(2);
const koala = fileURLToPath(new URL('../../bin/koala-bpf', import.meta.url));
const program = fileURLToPath(new URL('programs/contexts.py', import.meta.url));
const dir = mkdtempSync(join(tmpdir(), 'contexts-'));
const recording = join(dir, 'rec');
const children = [];

/** Its lines as they come, and its end. */
function begin(command, ...args) {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return { child, lines, ended: new Promise((resolve) => { child.once('exit', (code, signal) => { resolve(code ?? signal); }); }) };
}

/** Of each call, by number, whose it was; undefined: the backend was refused. */
async function record() {
  const upstream = begin(python, program, 'upstream');
  const upstreamPort = (await upstream.lines.next()).value;
  const front = command.length > 0 ? begin(...command, upstreamPort) : begin(python, program, 'front', upstreamPort);
  const port = (await front.lines.next()).value;
  const recorder = begin(koala, 'attach', '--pid', String(front.child.pid), '--probe', probe, '--json', '--out', recording, ...(process.env.KOALA_TEST_FLAGS?.split(' ') ?? []));
  if ((await recorder.lines.next()).value === undefined) {
    const status = await recorder.ended;
    if (status === 3) return undefined;
    throw new Error(`koala-bpf attach ended at once with ${status}`);
  }
  if (await begin(python, program, 'clients', port).ended !== 0) throw new Error('the clients failed');
  front.child.stdin.end();
  const whose = new Map();
  for await (const line of front.lines) whose.set(...line.split(' '));
  await recorder.ended;
  return whose;
}

const textOf = (chunks) => chunks.map(({ text = '' }) => text).join('');
const pathOf = (talk) => /^GET \/(\S+)/.exec(textOf(talk.request))?.[1];

function check(whose) {
  const found = { sessions: 0, calls: whose.size, tied: 0, right: 0, byContext: 0, problems: [] };
  const ran = spawnSync(koala, ['export', recording, '--format', 'json'], { encoding: 'utf8', maxBuffer: 1 << 28 });
  if (ran.status !== 0) throw new Error(ran.stderr);
  for (const line of ran.stdout.split('\n').filter((text) => text !== '')) {
    const { inbound, outbound } = JSON.parse(line);
    found.sessions += 1;
    for (const call of outbound) {
      found.tied += 1;
      if (whose.get(pathOf(call)) === pathOf(inbound)) found.right += 1;
      else if (found.problems.length < 8) found.problems.push(`call ${pathOf(call)} of ${whose.get(pathOf(call))} is in the session of ${pathOf(inbound)} by ${call.attribution}`);
      if (call.attribution === 'runtime') found.byContext += 1;
    }
  }
  console.log(JSON.stringify(found));
  const whole = found.sessions === REQUESTS && found.calls === REQUESTS * CALLS && found.right === found.calls && found.tied === found.calls;
  process.exitCode = whole && found.byContext * 2 >= found.calls ? 0 : 1;
}

try {
  const whose = await record();
  if (whose === undefined) process.exitCode = 3;
  else check(whose);
} finally {
  for (const child of children) child.kill('SIGKILL');
  if (process.env.KOALA_TEST_KEEP === undefined) rmSync(dir, { recursive: true, force: true });
  else console.error(`kept: ${recording}`);
}
