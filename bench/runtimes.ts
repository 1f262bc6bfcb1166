/**
 * What is asked from a runtime costs the service: processor time of its process for a request, which other work on the machine touches
 * least. Node, recorded and asked (`attach --instrument node`), a request making one call by http.Agent and one by fetch; and one with six drivers
 * (undici, http.Agent, fetch, pg, mysql2, ioredis), 19 calls a request, its memory read not at all, as far as it is by itself, or at each write, or asked; and a Go service
 * (net/http, pgx, go-redis) and two of which one asks the other by gRPC, recorded without probes in the programs and with them; and a servlet whose
 * calls are made by threads that requests share, without being told who wakes whom and with it; and aiohttp, without the probe where Python's contexts are made and with it. Interleaved; as ratios within each round.
 *   node --import tsx bench/runtimes.ts [--rounds 5] [--requests 3000] [--only Node|drivers|Go|gRPC|Python|Java] [--programs]
 * --programs: then, of the last way, how often each of the recorder's programs ran for a request, and how long.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { attach, type Attached } from '../test/native/attached.ts';
import { Clients, type Asked } from '../test/e2e/services/client.ts';
import { removeDir, temporaryDir } from '../test/e2e/services/daemon.ts';
import { nodeDrivers, whyNoDrivers } from '../test/e2e/services/drivers.ts';
import { goOverHttp2, goService, whyNotGo } from '../test/e2e/services/go.ts';
import { whyNotGrpc } from '../test/e2e/services/grpc.ts';
import { javaService, whyNotJava } from '../test/e2e/services/java.ts';
import { loop, whyNotLoop } from '../test/e2e/services/loops.ts';
import type { Service } from '../test/e2e/services/service.ts';
import { countRuns, type Run } from './program-runs.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '5' }, requests: { type: 'string', default: '3000' }, only: { type: 'string' }, programs: { type: 'boolean', default: false } } });
const [rounds, requests] = [Number(values.rounds), Number(values.requests)];
const CLIENTS = 16;
const WARM = 1000;
/** The recorder finds no uprobes on this host: what says so is out of its sight. */
const WITHOUT_UPROBES = ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs none /sys/bus/event_source/devices && exec "$@"', 'sh'];

const UPSTREAM = 'require("node:http").createServer((q, s) => s.end("up")).listen(+process.env.PORT, "127.0.0.1", () => console.log("ready"))';
const SERVICE = `
const http = require('node:http');
const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
const url = 'http://127.0.0.1:' + process.env.UPSTREAM + '/x';
http.createServer(async (request, response) => {
  const both = new Promise((resolve) => http.get(url, { agent }, (answer) => { answer.resume(); answer.on('end', resolve); }));
  await Promise.all([both, fetch(url).then((answer) => answer.text())]);
  response.setHeader('content-length', 4);
  response.end('done');
}).listen(+process.env.PORT, '127.0.0.1', () => console.log('ready'));`;

/** How it is recorded: flags of `attach`, and what the recorder is run by. Undefined: not. */
interface Way {
  readonly name: string;
  readonly recorded?: { readonly flags?: readonly string[]; readonly before?: readonly string[] };
}

interface Running {
  readonly pids: readonly number[];
  readonly port: number;
  ask(index: number): Asked;
  stop(): Promise<void>;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

async function started(source: string, env: Record<string, string>): Promise<{ pid: number; kill(): void }> {
  const child = spawn(process.execPath, ['-e', source], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'ignore'] });
  await once(child.stdout, 'data');
  return { pid: child.pid!, kill: () => { child.kill('SIGKILL'); } };
}

async function nodeService(): Promise<Running> {
  const [upPort, port] = [await freePort(), await freePort()];
  const upstream = await started(UPSTREAM, { PORT: String(upPort) });
  const service = await started(SERVICE, { PORT: String(port), UPSTREAM: String(upPort) });
  return {
    pids: [service.pid], port, ask: (index) => ({ rid: String(index), target: '/' }),
    stop: async () => { for (const one of [service, upstream]) one.kill(); },
  };
}

async function running(made: Promise<Service>): Promise<Running> {
  const service = await made;
  return { pids: service.parts.map(({ pid }) => pid), port: service.port, ask: (index) => service.ask(`rid-${index}`, index), stop: () => service.stop() };
}

const cpuUs = (pids: readonly number[]): number => pids.reduce((sum, pid) => sum + cpuOf(pid), 0);

function cpuOf(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).reduce((sum, tid) => sum + Number(readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'latin1').split(' ')[0]), 0) / 1000;
}

/** µs of the service's own a request. `ran`: is given what the recorder's programs ran, and that adds to it. */
async function measured(start: () => Promise<Running>, { recorded }: Way, ran?: Map<string, Run>): Promise<number> {
  const dir = temporaryDir('bench');
  const service = await start();
  const clients = new Clients(service.port, CLIENTS, { keepAlive: true });
  let recorder: Attached | undefined;
  try {
    if (recorded !== undefined) {
      recorder = attach(['--json', ...service.pids.flatMap((pid) => ['--pid', String(pid)]), '--out', join(dir, 'rec'), '--ring-bytes', '64MiB', ...(recorded.flags ?? [])], {}, recorded.before);
      await recorder.recording();
      await sleep(500); // a runtime answers, and probes are placed, soon after
    }
    await clients.send(Array.from({ length: WARM }, (_, index) => service.ask(index)));
    const before = cpuUs(service.pids);
    const work = async (): Promise<void> => { await clients.send(Array.from({ length: requests }, (_, index) => service.ask(index))); };
    if (ran === undefined || recorder?.pid === undefined) await work();
    else for (const [name, run] of await countRuns(recorder.pid, work)) ran.set(name, run);
    const used = (cpuUs(service.pids) - before) / requests;
    recorder?.kill('SIGINT');
    await recorder?.ended;
    return used;
  } finally {
    recorder?.kill('SIGKILL');
    clients.close();
    await service.stop();
    removeDir(dir);
  }
}

const sorted = (all: readonly number[]): number[] => [...all].sort((a, b) => a - b);
const spread = (all: readonly number[], digits: number): string =>
  `${(sorted(all)[Math.floor(all.length / 2)] ?? NaN).toFixed(digits)} (${(sorted(all)[0] ?? NaN).toFixed(digits)}–${(sorted(all).at(-1) ?? NaN).toFixed(digits)})`;

const services: [string, () => Promise<Running>, Way[]][] = [
  ['Node', nodeService, [{ name: 'not recorded' }, { name: 'recorded', recorded: {} }, { name: 'recorded and asked (`--instrument node`)', recorded: { flags: ['--instrument', 'node'] } }]],
];
const whyNoNode = whyNoDrivers();
if (whyNoNode === undefined) {
  services.push(['drivers', () => running(nodeDrivers()), [
    { name: 'not recorded' }, { name: 'recorded, its memory not read (`--read-memory none`)', recorded: { flags: ['--read-memory', 'none'] } },
    { name: 'recorded: its memory is read in a tenth of the time', recorded: {} }, { name: 'recorded, its memory read at each write (`--read-memory node`)', recorded: { flags: ['--read-memory', 'node'] } },
    { name: 'recorded and asked (`--instrument node`)', recorded: { flags: ['--instrument', 'node'] } },
  ]]);
} else console.error(`The Node service with six drivers is left out: ${whyNoNode}`);
const whyNot = whyNotGo() ?? whyNotGrpc();
if (whyNot === undefined) {
  const ways = [{ name: 'not recorded' }, { name: 'recorded, no uprobes', recorded: { before: WITHOUT_UPROBES } }, { name: 'recorded, with uprobes', recorded: {} }];
  services.push(['Go', () => running(goService()), ways], ['gRPC', () => running(goOverHttp2({ by: 'grpc' })), ways]);
} else console.error(`Go is left out: ${whyNot}`);
const whyNoPython = whyNotLoop('asyncio');
if (whyNoPython === undefined) {
  services.push(['Python', () => running(loop('asyncio')), [{ name: 'not recorded' }, { name: 'recorded, no uprobes', recorded: { before: WITHOUT_UPROBES } }, { name: 'recorded, with uprobes', recorded: {} }]]);
} else console.error(`Python is left out: ${whyNoPython}`);
const whyNoJava = whyNotJava('executor');
if (whyNoJava === undefined) {
  services.push(['Java', () => running(javaService('executor')), [
    { name: 'not recorded' }, { name: 'recorded, `--wakeups off`', recorded: { flags: ['--wakeups', 'off'] } }, { name: 'recorded, `--wakeups on`', recorded: { flags: ['--wakeups', 'on'] } },
  ]]);
} else console.error(`Java is left out: ${whyNoJava}`);

console.log('| service | it is | its CPU, µs a request: median (least–most) | of not recorded |\n|---|---|---|---|');
for (const [service, start, ways] of services) {
  if ((values.only ?? service) !== service) continue;
  const found = ways.map((): number[] => []);
  for (let round = 0; round < rounds; round += 1) for (const [at, way] of ways.entries()) found[at]!.push(await measured(start, way));
  for (const [at, { name }] of ways.entries()) {
    console.log(`| ${service} | ${name} | ${spread(found[at]!, 0)} | ${spread(found[at]!.map((one, round) => one / found[0]![round]!), 2)} |`);
  }
  if (!values.programs) continue;
  const ran = new Map<string, Run>();
  await measured(start, ways.at(-1)!, ran);
  console.log(`\n| ${service}: program | runs a request | ns a run |\n|---|---|---|`);
  for (const [name, { runs, ns }] of ran) if (runs / requests >= 0.005) console.log(`| ${name} | ${(runs / requests).toFixed(2)} | ${(ns / runs).toFixed(0)} |`);
}
