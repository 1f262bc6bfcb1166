// The service under test: Node's own http server and agent (kept-alive, pooled) and one shared Redis connection.
// Every call it makes carries the request's id.
import { Agent, createServer, get } from 'node:http';
import { createConnection } from 'node:net';

const upstream = Number(process.env.SHOP_UPSTREAM_PORT);
const agent = new Agent({ keepAlive: true, maxSockets: 8 });

const redis = createConnection(Number(process.env.SHOP_REDIS_PORT), '127.0.0.1');
redis.setNoDelay(true);
const waiting = [];
let unread = '';
redis.on('data', (bytes) => {
  unread += bytes.toString('latin1');
  for (;;) {
    const reply = /^(?:[+:-][^\r]*\r\n|\$-1\r\n|\$(\d+)\r\n)/.exec(unread);
    if (reply === null) return;
    const end = reply[0].length + (reply[1] === undefined ? 0 : Number(reply[1]) + 2);
    if (unread.length < end) return;
    waiting.shift()(unread.slice(0, end));
    unread = unread.slice(end);
  }
});

function command(...words) {
  return new Promise((resolve) => {
    waiting.push(resolve);
    redis.write(`*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`);
  });
}

function price(rid, n, pad) {
  return new Promise((resolve, reject) => {
    get({ port: upstream, host: '127.0.0.1', path: `/price/${rid}/${n}?pad=${pad}`, agent, headers: { 'x-rid': rid } }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part) => { text += part; });
      response.on('end', () => resolve(JSON.parse(text)));
    }).on('error', reject);
  });
}

// A refresh that belongs to no request.
if (process.env.SHOP_REFRESH_ID) setInterval(() => void price(process.env.SHOP_REFRESH_ID, 0, 0), 4);

createServer((request, response) => {
  const url = new URL(request.url, 'http://shop');
  const rid = request.headers['x-rid'];
  const calls = Number(url.searchParams.get('calls') ?? 1);
  const pad = url.searchParams.get('pad') ?? '0';
  void (async () => {
    const seen = await command('GET', `seen:${rid}`);
    const prices = await Promise.all(Array.from({ length: calls }, (_, n) => price(rid, n, pad)));
    await command('SET', `seen:${rid}`, String(prices[0].price));
    const body = JSON.stringify({ rid, seen, prices });
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
    response.end(body);
    // Work left over, as such services do it: nobody waits for it, and the next request may be here by then.
    if (url.searchParams.has('after')) setTimeout(() => void command('LPUSH', 'audit', `answered ${rid}`), 3);
  })();
}).listen(Number(process.env.SHOP_PORT), '127.0.0.1');
