// The service under test: Node's http server, and the drivers that Node services use: undici, fetch, http.request by an agent, pg,
// mysql2, ioredis with auto-pipelining. Every pool is smaller than the concurrency, so that calls queue and are written in the
// wake of somebody else's. Every call carries the request's id. GET /debug tells whether anything of the runtime was changed.
import { AsyncLocalStorage } from 'node:async_hooks';
import channels from 'node:diagnostics_channel';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import Redis from 'ioredis';
import mysql from 'mysql2';
import pg from 'pg';
import { Pool } from 'undici';

const { SHOP_PORT, SHOP_PG, SHOP_MYSQL, SHOP_REDIS_PORT, SHOP_UPSTREAM_PORT, SHOP_REFRESH_ID } = process.env;
const upstream = `http://127.0.0.1:${SHOP_UPSTREAM_PORT}`;
const size = 4;

const own = new AsyncLocalStorage();
const sql = new pg.Pool({ connectionString: SHOP_PG, max: size });
const stock = mysql.createPool({ ...JSON.parse(SHOP_MYSQL), connectionLimit: size });
const promised = stock.promise();
const redis = new Redis({ host: '127.0.0.1', port: Number(SHOP_REDIS_PORT), enableAutoPipelining: true });
const plain = new Redis({ host: '127.0.0.1', port: Number(SHOP_REDIS_PORT) });
const pool = new Pool(upstream, { connections: size, pipelining: 1 });
const piped = new Pool(upstream, { connections: 2, pipelining: 4 });
const agent = new http.Agent({ keepAlive: true, maxSockets: size });
// Closes each connection: the next in the queue gets a new one, made while another request is at work.
const closing = new http.Agent({ keepAlive: false, maxSockets: size });

async function viaPool(by, rid, n) {
  const { body } = await by.request({ path: `/price/${rid}/${n}`, method: 'GET', headers: { 'x-rid': rid } });
  return body.json();
}

function viaHttp(by, rid, n) {
  return new Promise((resolve, reject) => {
    const request = http.request(`${upstream}/price/${rid}/${n}`, { agent: by, method: 'POST', headers: { 'x-rid': rid } }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part) => { text += part; }).on('end', () => resolve(JSON.parse(text)));
    });
    request.on('error', reject);
    request.write('half');
    setImmediate(() => request.end('a body'));
  });
}

const callback = (call) => new Promise((resolve, reject) => { call((error, rows) => (error ? reject(error) : resolve(rows))); });

async function transaction(rid) {
  const client = await sql.connect();
  try {
    await client.query(`begin /* ${rid} */`);
    await client.query({ text: `select $1::text as placed /* ${rid} */`, values: ['placed'] });
    await client.query(`commit /* ${rid} */`);
  } finally {
    client.release();
  }
}

async function answer(rid) {
  const seen = await redis.get(`seen:${rid}`);
  const [first] = await Promise.all([
    viaPool(pool, rid, 0), viaPool(piped, rid, 1), viaHttp(agent, rid, 2), viaHttp(closing, rid, 3),
    fetch(`${upstream}/price/${rid}/4`, { headers: { 'x-rid': rid } }).then((response) => response.json()),
    sql.query(`select 1 as one /* ${rid} */`), transaction(rid),
    // Callbacks: what follows is called by the driver, in whosever wake.
    callback((done) => sql.query(`select 2 as two /* ${rid} */`, done)).then(() => redis.incr(`counted:${rid}`)),
    callback((done) => stock.query(`select 3 as three /* ${rid} */`, (error, rows) => {
      if (error) return done(error);
      plain.set(`stocked:${rid}`, String(rows.length), done);
    })),
    promised.execute('select ? as rid', [rid]),
    redis.multi().set(`multi:${rid}`, 'ü'.repeat(20)).get(`multi:${rid}`).exec(),
  ]);
  await Promise.all([redis.set(`seen:${rid}`, Buffer.from(String(first.price))), redis.get(`seen:${rid}`)]);
  return { rid, seen, price: first.price };
}


// A refresh that belongs to no request.
if (SHOP_REFRESH_ID) setInterval(() => void viaPool(pool, SHOP_REFRESH_ID, 0).catch(() => undefined), 20);

const watched = { socket: net.Socket.prototype, agent: http.Agent.prototype, request: http.ClientRequest.prototype, client: pg.Client.prototype, pool: pg.Pool.prototype };
const before = describe();

function describe() {
  const functions = Object.entries(watched).flatMap(([owner, object]) => Object.entries(Object.getOwnPropertyDescriptors(object)).map(([name, { value }]) => [`${owner}.${name}`, value]));
  return new Map([...functions, ['redis', Redis.prototype.sendCommand], ['mysql', stock.getConnection]]);
}

function sockets() {
  return readdirSync('/proc/self/fd').map((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1];
    } catch {
      return undefined; // that of the folder itself
    }
  }).filter((inode) => inode !== undefined);
}

function debug() {
  const udp = readFileSync('/proc/self/net/udp', 'latin1');
  const now = describe();
  const changed = [...new Set([...before.keys(), ...now.keys()])].filter((name) => before.get(name) !== now.get(name));
  return {
    changed, symbols: Object.getOwnPropertySymbols(process).map(String).filter((name) => name.includes('koala')),
    channels: ['http.server.request.start', 'http.server.response.finish', 'undici:request:create', 'undici:client:sendHeaders'].filter((name) => channels.channel(name).hasSubscribers),
    udp: sockets().filter((inode) => udp.includes(` ${inode} `)).length,
  };
}

await Promise.all([sql.query('select 0'), promised.query('select 0'), redis.ping(), plain.ping()]);

http.createServer((request, response) => {
  const send = (status, value) => {
    const body = JSON.stringify(value);
    response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
    response.end(body);
  };
  if (request.url === '/debug') return send(200, debug());
  const rid = request.headers['x-rid'];
  own.run(rid, () => answer(rid)).then((value) => {
    send(200, value);
    // Work left over, as such services do it: nobody waits for it, and other requests are at work by then.
    if (request.url.includes('after=1')) setTimeout(() => void redis.lpush('audit', `answered ${rid}`), 3);
  }, (error) => send(500, { error: String(error.stack) }));
})
  // Longer than a recorder takes to come: connections that are to be older than it must live that long.
  .on('listening', function () { this.keepAliveTimeout = 120_000; }).listen(Number(SHOP_PORT), '127.0.0.1');
