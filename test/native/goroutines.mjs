/**
 * Records programs/goroutines and holds what was recorded against what the program says of itself:
 * `node goroutines.mjs PROGRAM [PROBE [may-miss]]`. Prints {events, wrong, calls, tied, right, proven, misled, problems} as JSON; ends with
 * 1 where that is not all right. `may-miss`: this kernel skips probes, so that a few events may be missing, and calls nobody's, or not proven.
 * Plain JavaScript, for it also runs in emulated machines, where every start of a compiler costs half a minute.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const [program, probe = 'auto', mayMiss] = process.argv.slice(2);
const koala = fileURLToPath(new URL('../../bin/koala-bpf', import.meta.url));
const dir = mkdtempSync(join(tmpdir(), 'goroutines-'));
const recording = join(dir, 'rec');

/** The lines that a child prints, as they come. */
const linesOf = (child) => createInterface({ input: child.stdout })[Symbol.asyncIterator]();
const ended = (child) => new Promise((resolve) => { child.once('exit', (code, signal) => { resolve(code ?? signal); }); });

/** Undefined: the kernel refused the backend, and the recorder has said why. */
async function record() {
  const service = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
  const serviceEnded = ended(service);
  const { value: addresses } = await linesOf(service).next();
  const recorder = spawn(koala, ['attach', '--pid', String(service.pid), '--probe', probe, '--json', '--out', recording], { stdio: ['ignore', 'pipe', 'inherit'] });
  const recorderEnded = ended(recorder);
  const lines = linesOf(recorder);
  const { value: began } = await lines.next();
  if (began === undefined) {
    service.kill();
    const refused = await recorderEnded;
    if (refused === 3) return undefined;
    throw new Error(`koala-bpf attach ended at once with ${refused}`);
  }
  service.stdin.write('go\n');
  const status = await serviceEnded;
  if (status !== 0) throw new Error(`the program ended with ${status}`);
  await recorderEnded;
  return Object.fromEntries(addresses.split(' ').map((pair) => pair.split('=')));
}

function printed(...args) {
  const ran = spawnSync(koala, args, { encoding: 'utf8', maxBuffer: 1 << 28 });
  if (ran.status !== 0) throw new Error(`koala-bpf ${args.join(' ')}: ${ran.stderr}`);
  return ran.stdout.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line));
}

const textOf = (chunks) => chunks.map(({ text = '' }) => text).join('');
const headerOf = (text, name) => new RegExp(`^${name}: (.*)\r$`, 'm').exec(text)?.[1];

/** `calls`: so many it says that it makes. */
function check({ front, upstream, calls }) {
  const found = { events: 0, wrong: 0, calls: 0, tied: 0, right: 0, proven: 0, misled: 0, problems: [] };
  const problem = (text) => { if (found.problems.push(text) > 8) found.problems.pop(); };
  for (const { kind, direction, text = '', context } of printed('events', recording, '--json')) {
    const said = /^goroutine=(\d+)/.exec(text);
    if (kind !== 'data' || direction !== 'egress' || said === null) continue;
    found.events += 1;
    if (context !== Number(said[1])) {
      found.wrong += 1;
      problem(`goroutine ${context} is told where ${said[1]} wrote`);
    }
  }
  for (const { inbound, outbound } of printed('export', recording, '--format', 'json')) {
    if (inbound.connection.local === upstream) found.calls += 1;
    if (inbound.connection.local !== front) continue;
    // Over HTTP/2 the path is in the header fields.
    const rid = /^GET \/(\S+)/.exec(textOf(inbound.request))?.[1] ?? inbound.fields?.request.find(([name]) => name === ':path')?.[1].slice(1);
    for (const call of outbound) {
      const request = textOf(call.request);
      // It asks itself: its client's words are those of the session that comes of them.
      if (call.connection.remote === front && call.attribution === 'content') continue;
      if (call.connection.remote !== upstream) problem(`a call to ${call.connection.remote} in a session`);
      found.tied += 1;
      const own = headerOf(request, 'X-Rid') === rid;
      // Where the kernel skipped the probe, its words may still tell: the right session, and no goroutine is said to have asked.
      if (mayMiss !== undefined && own && call.attribution !== 'goroutine' && call.certainty === 'likely') continue;
      if (call.attribution === 'goroutine' && own) {
        found.right += 1;
      } else {
        found.misled += 1;
        problem(`a call of ${headerOf(request, 'X-Rid')} is in the session of ${rid} by ${call.attribution}`);
      }
      if (call.certainty === 'proven') found.proven += 1;
      const [{ goroutine }] = call.request;
      if (String(goroutine) !== headerOf(request, 'X-Goroutine')) problem(`goroutine ${goroutine} is told for whom ${headerOf(request, 'X-Goroutine')} asked`);
    }
  }
  console.log(JSON.stringify(found));
  const enough = mayMiss === undefined ? found.right === found.calls && found.proven * 2 >= found.calls : found.right >= 0.9 * found.calls;
  const told = found.events >= (mayMiss === undefined ? 96 : 86);
  // What takes a request in may be skipped too.
  const all = mayMiss === undefined ? found.calls === Number(calls) : found.calls >= 0.97 * Number(calls) && found.calls <= Number(calls);
  process.exitCode = told && found.wrong === 0 && all && found.misled === 0 && enough && found.problems.length === 0 ? 0 : 1;
}

try {
  const addresses = await record();
  if (addresses === undefined) process.exitCode = 3;
  else check(addresses);
} finally {
  if (process.env.KOALA_TEST_KEEP === undefined) rmSync(dir, { recursive: true, force: true });
  else console.error(`kept: ${recording}`);
}
