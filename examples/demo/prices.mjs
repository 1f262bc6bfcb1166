// The demo's HTTP dependency: a price list. Usage: node prices.mjs PORT
import { createServer } from 'node:http';

const port = Number(process.argv[2]);

const server = createServer((request, response) => {
  const sku = /^\/prices\/([a-z]+)$/.exec(request.url ?? '')?.[1];
  const body = sku === undefined ? { error: 'no such price' } : { sku, cents: 100 + 7 * sku.length + sku.charCodeAt(0) };
  setTimeout(() => {
    response.writeHead(sku === undefined ? 404 : 200, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify(body));
  }, 5 + (request.url?.length ?? 0) % 10);
});
server.keepAliveTimeout = 60_000;
server.listen(port, '127.0.0.1');
