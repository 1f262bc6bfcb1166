// A service that does what its request says: GET /run/PLAN, PLAN being base64url of a JSON list of calls
// {to: "HOST:PORT" or "unix:/path", send, read (characters of the answer; 0: until it ends), keep (name of a pooled connection)}.
// A call with {repeat: N} is made N times at once, each on a connection of its own that stays open, "#" being its number.
// To "file:/path" it makes the file /path.reached, waits until /path is there (or its own file is gone), and the result is "there".
// To "clock" it asks nobody, and the result is the hour of its own clock (UTC).
// Answers the list of what came back (latin1), or of error codes. node service.mjs PORT
// OWN_SOCKET (environment): a unix socket on which it says "mine".
// DEVIATE (environment) is what this build does otherwise: skip | twice | other | extra | later (extra, as soon as its answer is out) | reverse | status | field; with
// DEVIATE_IF (environment) only to requests whose plan holds that text.
import { existsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect, createServer as createTcpServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const port = Number(process.argv[2]);
const pool = new Map();

function dial(to) {
  if (to.startsWith('unix:')) return connect({ path: to.slice(5).replace(/^@/, '\0'), allowHalfOpen: true });
  const at = to.lastIndexOf(':');
  return connect({ host: to.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(to.slice(at + 1)), allowHalfOpen: true });
}

async function untilThere(path) {
  writeFileSync(`${path}.reached`, '');
  while (!existsSync(path) && existsSync(`${path}.reached`)) await sleep(10);
  return 'there';
}

function call({ to, send, read, keep, timeoutMs = 3000 }) {
  if (to.startsWith('file:')) return untilThere(to.slice(5));
  if (to === 'clock') return Promise.resolve(new Date().toISOString().slice(0, 13));
  return new Promise((resolve) => {
    const pooled = keep ? pool.get(keep) : undefined;
    const socket = pooled?.destroyed === false ? pooled : dial(to);
    if (keep) pool.set(keep, socket);
    let heard = '';
    const done = (result) => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on('error', () => {});
      // As pools do: what its server has ended is not taken again.
      socket.on('end', () => socket.destroy());
      if (!keep) socket.destroy();
      resolve(result);
    };
    const timer = setTimeout(() => done(`timeout after ${heard}`), timeoutMs);
    socket.on('data', (bytes) => {
      heard += bytes.toString('latin1');
      if (read > 0 && heard.length >= read) done(heard);
    });
    socket.on('end', () => done(heard));
    socket.on('error', (error) => done(`${heard}${error.code}`));
    if (send) socket.write(send, 'latin1');
  });
}

function repeated(one) {
  return Array.from({ length: one.repeat }, (_, n) => ({ ...one, send: one.send.replace('#', n), keep: `${one.to} ${n}` }));
}

const server = createServer(async (request, response) => {
  const text = Buffer.from(request.url.split('/')[2] ?? '', 'base64url').toString();
  const deviate = text.includes(process.env.DEVIATE_IF ?? '') ? process.env.DEVIATE : undefined;
  let plan = JSON.parse(text);
  if (deviate === 'skip') plan = plan.slice(0, -1);
  if (deviate === 'twice') plan = plan.flatMap((one) => [one, one]);
  if (deviate === 'other') plan = plan.map((one) => ({ ...one, send: one.send.replace('item=', 'item=9') }));
  if (deviate === 'extra') plan = [...plan, { to: '10.99.99.99:9999', send: 'who are you\r\n', read: 1 }];
  if (deviate === 'reverse') plan.reverse();
  const results = [];
  for (const one of plan) results.push(...one.repeat ? await Promise.all(repeated(one).map(call)) : [await call(one)]);
  const body = JSON.stringify(deviate === 'field' ? { outcome: results } : { results });
  response.sendDate = false;
  response.writeHead(deviate === 'status' ? 500 : 200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body), Connection: 'close' });
  response.end(body, () => {
    if (deviate === 'later') call({ to: '10.99.99.99:9999', send: 'who are you\r\n', read: 1 });
  });
});

if (process.env.WARM_UP) {
  const [to, send, read] = process.env.WARM_UP.split('|');
  const answer = await call({ to, send: send.replaceAll('~', '\r\n'), read: Number(read) });
  process.stderr.write(`warmed up with ${JSON.stringify(answer)}\n`);
  if (process.env.WARM_UP_MUST !== undefined && answer !== process.env.WARM_UP_MUST) process.exit(9);
}
if (process.env.OWN_SOCKET) createTcpServer((socket) => socket.end('mine')).listen(process.env.OWN_SOCKET);
server.listen(port, process.env.LISTEN ?? '127.0.0.1');
