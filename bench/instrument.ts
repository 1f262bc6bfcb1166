/**
 * What being recorded, and being asked (`attach --instrument node`), costs a Node service: processor time of the service's
 * process for a request, which other work on the machine touches least. A request makes one call by http.Agent and one by fetch.
 *   node --import tsx bench/instrument.ts [--rounds 3] [--requests 3000]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Recorder } from '../test/e2e/recorder.ts';
import { Clients } from '../test/e2e/services/client.ts';
import { removeDir, temporaryDir } from '../test/e2e/services/daemon.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '3' }, requests: { type: 'string', default: '3000' } } });
const CLIENTS = 16;
const WARM = 500;

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

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

async function started(source: string, env: Record<string, string>) {
  const child = spawn(process.execPath, ['-e', source], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'ignore'] });
  await once(child.stdout, 'data');
  return child;
}

function cpuUs(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).reduce((sum, tid) => sum + Number(readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'latin1').split(' ')[0]), 0) / 1000;
}

const ways = [['no recorder', undefined], ['recorded', []], ['recorded and asked', ['--instrument', 'node']]] as const;
const [upPort, port] = [await freePort(), await freePort()];
const upstream = await started(UPSTREAM, { PORT: String(upPort) });
const found = new Map<string, number[]>(ways.map(([name]) => [name, []]));
try {
  for (let round = 0; round < Number(values.rounds); round += 1) {
    for (const [name, flags] of ways) {
      const dir = temporaryDir('bench');
      const service = await started(SERVICE, { PORT: String(port), UPSTREAM: String(upPort) });
      const clients = new Clients(port, CLIENTS, { keepAlive: true });
      let recorder: Recorder | undefined;
      try {
        if (flags !== undefined) recorder = await Recorder.attach([service.pid!], join(dir, 'rec'), flags);
        const send = (count: number) => clients.send(Array.from({ length: count }, (_, n) => ({ rid: String(n), target: '/' })));
        await send(WARM);
        const before = cpuUs(service.pid!);
        await send(Number(values.requests));
        found.get(name)!.push((cpuUs(service.pid!) - before) / Number(values.requests));
        await recorder?.stop();
      } finally {
        recorder?.kill();
        clients.close();
        service.kill();
        removeDir(dir);
      }
    }
  }
} finally {
  upstream.kill();
}

console.log('| the service is | CPU, µs a request (least, most) | of no recorder |\n|---|---|---|');
const least = Math.min(...found.get('no recorder')!);
for (const [name, all] of found) {
  console.log(`| ${name} | ${Math.min(...all).toFixed(0)} (${Math.min(...all).toFixed(0)}–${Math.max(...all).toFixed(0)}) | ${(Math.min(...all) / least).toFixed(2)} |`);
}
