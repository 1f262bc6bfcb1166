// A service that keeps prices for a minute and makes values of its own. node shop.mjs PORT UPSTREAM_HOST UPSTREAM_PORT
// GET /price/N: the upstream's price, kept for 60 s. POST /order/N: tells the upstream of an order with an id and a time of its own.
// GET /token: a random token and a fixed name. CHANGE (environment): drop (no price is asked for) | add
// (a price is asked for with each order) | name (the name in /token) | status (of /token).
import { randomBytes, randomUUID } from 'node:crypto';
import { createServer, request } from 'node:http';

const [port, upstreamHost, upstreamPort] = process.argv.slice(2);
const change = process.env.CHANGE;
const kept = new Map();

function ask(method, path, body) {
  return new Promise((resolve) => {
    const asked = request({ host: upstreamHost, port: Number(upstreamPort), method, path, headers: { Host: 'upstream', ...(body ? { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) } : {}) }, agent: false }, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (part) => { text += part; });
      answer.on('end', () => resolve(`${answer.statusCode} ${text}`));
    });
    asked.on('error', (error) => resolve(error.code));
    asked.end(body);
  });
}

async function price(n) {
  if (change === 'drop') return 'none';
  const known = kept.get(n);
  if (known !== undefined && known.until > Date.now()) return known.value;
  const value = await ask('GET', `/price/${n}`);
  kept.set(n, { value, until: Date.now() + 60_000 });
  return value;
}

createServer(async (asked, answer) => {
  const [, what, n] = asked.url.split('/');
  let body = {};
  let status = 200;
  if (what === 'price') body = { price: await price(n) };
  if (what === 'order') {
    const id = randomUUID();
    body = { answer: await ask('POST', '/orders', JSON.stringify({ id, at: new Date().toISOString(), item: Number(n) })) };
    if (change === 'add') await price(n);
  }
  if (what === 'token') {
    body = { token: randomBytes(16).toString('hex'), name: change === 'name' ? 'new' : 'shop' };
    if (change === 'status') status = 203;
  }
  const text = JSON.stringify(body);
  answer.sendDate = false;
  answer.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text), Connection: 'close' });
  answer.end(text);
}).listen(Number(port), '127.0.0.1');
