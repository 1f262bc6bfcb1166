// Something real that must not be asked. Answers each line with its own port and that line, and says "asked LINE" on stdout for
// each line and each datagram. Says "up" when it listens, on the loopback addresses. node database.mjs PORT
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

const port = Number(process.argv[2]);
const say = (line) => process.stdout.write(`${line}\n`);
const server = createServer((socket) => {
  let heard = '';
  say('connected');
  socket.on('error', () => {});
  socket.on('data', (bytes) => {
    heard += bytes.toString('latin1');
    for (let end = heard.indexOf('\n'); end >= 0; end = heard.indexOf('\n')) {
      say(`asked ${heard.slice(0, end)}`);
      socket.write(`real ${heard.slice(0, end)}\n`);
      heard = heard.slice(end + 1);
    }
  });
});
createSocket('udp4', (message) => say(`asked ${message}`)).bind(port, '127.0.0.1');
server.listen({ port, host: '::', ipv6Only: false }, () => say('up'));
