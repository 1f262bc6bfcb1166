// The service under test: Node's http server, undici's pool, pg's pool, ioredis that joins commands of all requests in one
// write (auto-pipelining). All pools are smaller than the number of clients. Every call carries the request's id.
import { createServer } from 'node:http';
import { Redis } from 'ioredis';
import pg from 'pg';
import { Pool } from 'undici';

const upstream = new Pool(`http://127.0.0.1:${process.env.SHOP_UPSTREAM_PORT}`, { connections: 8 });
const sql = new pg.Pool({ connectionString: process.env.SHOP_PG, max: 6 });
const redis = new Redis({ host: '127.0.0.1', port: Number(process.env.SHOP_REDIS_PORT), enableAutoPipelining: true });

async function price(rid, n, pad) {
  const { body } = await upstream.request({ method: 'GET', path: `/price/${rid}/${n}?pad=${pad}`, headers: { 'x-rid': rid } });
  return body.json();
}

async function answer(request) {
  const url = new URL(request.url, 'http://shop');
  const rid = request.headers['x-rid'];
  const calls = Number(url.searchParams.get('calls') ?? 1);
  const pad = url.searchParams.get('pad') ?? '0';
  const [seen, prices, order] = await Promise.all([
    redis.get(`seen:${rid}`),
    Promise.all(Array.from({ length: calls }, (_, n) => price(rid, n, pad))),
    sql.query('insert into orders (rid, price) values ($1, $2) returning id', [rid, 1]),
  ]);
  const { rows } = await sql.query('select id, rid, price from orders where id = $1 and rid = $2', [order.rows[0].id, rid]);
  await redis.set(`seen:${rid}`, String(prices[0].price));
  return JSON.stringify({ rid, order: rows[0].id, seen, prices });
}

createServer((request, response) => {
  answer(request).then((body) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
    response.end(body);
  }, (error) => {
    response.writeHead(500);
    response.end(String(error));
  });
}).listen(Number(process.env.SHOP_PORT), '127.0.0.1');
