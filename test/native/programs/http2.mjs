/**
 * Both ends of an HTTP/2 connection by node:http2. `server`: prints its port, then answers each request with its own body turned round.
 * `client PORT`: waits for a line on stdin, asks many at a time over one connection, and prints what it asked and got, by path.
 */
import http2 from 'node:http2';
import { createHash } from 'node:crypto';
import { once } from 'node:events';

const AT_A_TIME = 24;
const digest = (bytes) => createHash('sha256').update(bytes).digest('hex');
const body = (at) => Buffer.alloc((at * at * 977) % 250_000, `${at} is said `);
const read = async (stream) => {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
};

if (process.argv[2] === 'server') {
  const server = http2.createServer();
  server.on('stream', async (stream, headers) => {
    const asked = await read(stream);
    stream.respond({ ':status': 200, 'x-path': headers[':path'] });
    stream.end(Buffer.from(asked).reverse());
  });
  server.listen(0, '127.0.0.1', () => console.log(server.address().port));
} else {
  await once(process.stdin, 'data');
  const client = http2.connect(`http://127.0.0.1:${process.argv[3]}`);
  const one = async (at) => {
    const request = client.request({ ':method': 'POST', ':path': `/turn/${at}`, 'x-at': String(at) });
    request.end(body(at));
    return { path: `/turn/${at}`, sent: digest(body(at)), got: digest(await read(request)) };
  };
  console.log(JSON.stringify(await Promise.all(Array.from({ length: AT_A_TIME }, (_, at) => one(at)))));
  client.close();
}
