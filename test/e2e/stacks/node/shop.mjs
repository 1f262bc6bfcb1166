// The shop on Node: pg (named, unnamed, transactions), mysql2 (text and prepared), ioredis (auto-pipelining), undici (pooled).
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import Redis from 'ioredis';
import mysql from 'mysql2/promise';
import pg from 'pg';
import { Pool } from 'undici';

const { SHOP_PORT, SHOP_PG, SHOP_MYSQL_PORT, SHOP_REDIS_PORT, SHOP_UPSTREAM_PORT } = process.env;
const CHANGES = [undefined, 'rename', 'add', 'drop', 'parameter', 'reorder', 'twice', 'status', undefined, undefined];
const changeOf = (n) => (process.env.SHOP_CHANGE === 'yes' ? CHANGES[n % 10] : undefined);
const sizes = { max: Number(process.env.SHOP_POOL ?? 4) };

const sql = new pg.Pool({ connectionString: SHOP_PG, ...sizes });
const stock = mysql.createPool({ host: '127.0.0.1', port: Number(SHOP_MYSQL_PORT), user: 'shop', password: 'secret-of-shop', database: 'shop', connectionLimit: sizes.max });
const redis = new Redis({ host: '127.0.0.1', port: Number(SHOP_REDIS_PORT), enableAutoPipelining: true, connectionName: 'shop' });
const upstream = new Pool(`http://127.0.0.1:${SHOP_UPSTREAM_PORT}`, { connections: sizes.max, pipelining: 1 });

const sign = (id) => `${id}.${createHmac('sha256', 'key of the shop').update(String(id)).digest('hex')}`;

async function login({ name, secret }) {
  const { rows: [user] } = await sql.query('select id, secret, since from users where name = $1', [name]);
  if (user?.secret !== secret) return [401, { error: 'who?' }];
  await redis.set(`seen:${user.id}`, name);
  return [200, { token: sign(user.id), since: user.since }];
}

async function whoIs(header = '') {
  const [, id, rest] = /^Bearer (\d+)\.(\w+)$/.exec(header) ?? [];
  if (id === undefined || !timingSafeEqual(Buffer.from(sign(id)), Buffer.from(`${id}.${rest}`.padEnd(sign(id).length).slice(0, sign(id).length)))) return undefined;
  const { rows: [user] } = await sql.query({ name: 'user-by-id', text: 'select id, name, credit, rate from users where id = $1', values: [id] });
  return user;
}

async function price(rid, n) {
  const { body } = await upstream.request({ path: `/price/${n}?pad=10`, method: 'GET', headers: { 'x-rid': rid } });
  return (await body.json()).price;
}

async function order(n, rid, user) {
  const change = changeOf(n);
  const item = async () => (await sql.query({ name: 'item', text: 'select id, name, price, weight from items where id = $1', values: [n % 50] })).rows[0];
  const cart = () => Promise.all([redis.get(`cart:${n}`), redis.incr('asked'), redis.hgetall(`person:${user.id}`)]);
  let one, [kept, asked, person] = [];
  if (change === 'reorder') {
    [kept, asked, person] = await cart();
    one = await item();
  } else {
    one = await item();
    [kept, asked, person] = await cart();
  }
  if (change === 'add') await sql.query('select count(*) as dearer from items where price > $1', [one.price]).catch(() => undefined);
  let [[left]] = change === 'drop' ? [[undefined]] : await stock.execute('select name, price, weight from items where id = ? and price > ?', [change === 'parameter' ? (n + 1) % 50 : n % 50, 7]);
  const [[sold]] = await stock.query('select count(*) as sold from placed where item = ?', [n % 50]);
  const value = await price(rid, n);
  if (change === 'twice') await price(rid, n).catch(() => undefined);
  const posted = await upstream.request({ path: '/audit', method: 'POST', headers: { 'x-rid': rid, 'content-type': 'application/json' }, body: JSON.stringify({ n, user: user.name }) });
  await posted.body.dump();
  return [change === 'status' ? 203 : 200, { n, user, [change === 'rename' ? 'what' : 'item']: one, kept, asked, person, left, sold, value }];
}

async function place({ item, quantity }, user) {
  const client = await sql.connect();
  try {
    await client.query('BEGIN');
    const { rows: [{ id }] } = await client.query({ name: 'place', text: 'insert into placed (person, item, quantity) values ($1, $2, $3) returning id', values: [user.id, item, quantity] });
    await client.query('COMMIT');
    const [{ insertId }] = await stock.execute('insert into placed (person, item, quantity) values (?, ?, ?)', [user.id, item, quantity]);
    const queued = await redis.multi().lpush('placed', id).llen('placed').exec();
    return [201, { id, insertId, queued }];
  } finally {
    client.release();
  }
}

async function answer(request, body) {
  if (request.url === '/login') return login(JSON.parse(body));
  const user = await whoIs(request.headers.authorization);
  if (user === undefined) return [401, { error: 'who?' }];
  if (request.method === 'POST') return place(JSON.parse(body), user);
  return order(Number(request.url.split('/')[2]), request.headers['x-rid'], user);
}

// Before it listens it needs all of them.
await sql.query('select 1 as ready');
await stock.query('select version() as version');
await redis.ping();

createServer((request, response) => {
  let body = '';
  request.setEncoding('utf8').on('data', (part) => { body += part; }).on('end', () => {
    answer(request, body).catch((error) => [500, { error: String(error) }]).then(([status, value]) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(value));
    });
  });
}).listen(Number(SHOP_PORT), '127.0.0.1');
