// Requests that are at work at a time in Node, whose calls wait in queues for connections that are fewer, and are written in the wake of
// another request's answer: pools.mjs UPSTREAM. Each is served by five calls: three by http.Agent, two over
// one connection, which they write to one after the other. Prints its port; when its standard input ends, it prints for each call "NUMBER NAME", which call
// was of which request, and ends. Upstream and clients are those of contexts.py. Nothing in a call says whose it is, nor in an answer.
import http from 'node:http';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const port = Number(process.argv[2]);
const agent = new http.Agent({ keepAlive: true, maxSockets: 3 });
const whose = new Map();
let next = 1000;

const numberFor = (name) => {
  next += 1;
  whose.set(next, name);
  return next;
};

function byAgent(name) {
  return new Promise((resolve, reject) => {
    http.get({ agent, host: '127.0.0.1', port, path: `/${numberFor(name)}` }, (response) => { response.resume().on('end', resolve); }).on('error', reject);
  });
}

class InTurn {
  #waiting = [];
  #atWork;
  #socket;

  constructor() {
    this.#socket = net.connect(port, '127.0.0.1').on('data', () => {
      this.#atWork.done();
      this.#atWork = undefined;
      this.#write();
    });
  }

  call(name) {
    return new Promise((done) => {
      this.#waiting.push({ name, done });
      this.#write();
    });
  }

  #write() {
    if (this.#atWork !== undefined || this.#waiting.length === 0) return;
    this.#atWork = this.#waiting.shift();
    this.#socket.write(`GET /${numberFor(this.#atWork.name)} HTTP/1.1\r\nHost: upstream\r\n\r\n`);
  }
}
const one = new InTurn();

async function answer(name) {
  await byAgent(name);
  await Promise.all([one.call(name), byAgent(name)]);
  await sleep(2);
  await byAgent(name);
  await one.call(name);
}

const server = http.createServer((request, response) => {
  void answer(request.url.slice(1)).then(() => response.end('done'));
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.resume().on('end', () => {
  process.stdout.write([...whose].map(([number, name]) => `${number} ${name}\n`).join(''), () => process.exit());
});
