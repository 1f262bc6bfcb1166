// A test runner: waits until the service on 127.0.0.1:PORT takes connections, then sends it each request of FILE (a JSON list of base64,
// as bytes) on a connection of its own, ROUNDS times, and says what it got. Ends with 1 if any answer is no 2xx. node runner.mjs PORT FILE ROUNDS
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const [port, file, rounds] = process.argv.slice(2);

const isUp = () => new Promise((resolve) => {
  const socket = connect({ host: '127.0.0.1', port: Number(port) });
  socket.on('connect', () => { socket.destroy(); resolve(true); });
  socket.on('error', () => { resolve(false); });
});

/** Until as many bytes of a body are there as its head says. */
const ask = (request) => new Promise((resolve) => {
  const socket = connect({ host: '127.0.0.1', port: Number(port) }, () => { socket.write(request); });
  let heard = '';
  const done = () => { socket.destroy(); resolve(heard); };
  socket.on('data', (bytes) => {
    heard += bytes.toString('latin1');
    const [head, body] = heard.split('\r\n\r\n');
    if (body !== undefined && body.length >= Number(/content-length: *(\d+)/i.exec(head)?.[1] ?? Infinity)) done();
  });
  socket.on('end', done);
  socket.on('error', (error) => { heard += error.code; done(); });
});

const until = performance.now() + 60_000;
while (!await isUp()) {
  if (performance.now() > until) process.exit(9);
  await sleep(50);
}
let failed = 0;
for (let round = 0; round < Number(rounds); round += 1) {
  for (const request of JSON.parse(readFileSync(file, 'utf8'))) {
    const answer = await ask(Buffer.from(request, 'base64'));
    if (!/^HTTP\/1\.1 2/.test(answer)) failed += 1;
    console.log(JSON.stringify(answer));
  }
}
console.log(`${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
