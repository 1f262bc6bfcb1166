// Something real behind unix sockets. Answers each line with "real " and that line, and says "asked LINE" on stdout for each.
// Says "up" when it listens at all of them. node unix-database.mjs PATH…
import { createServer } from 'node:net';

const say = (line) => process.stdout.write(`${line}\n`);
let left = process.argv.length - 2;
for (const path of process.argv.slice(2)) {
  const server = createServer((socket) => {
    let heard = '';
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
  server.listen(path.replace(/^@/, '\0'), () => {
    left -= 1;
    if (left === 0) say('up');
  });
}
