/**
 * requests.mjs [listed | apart | by FILE NAME] PORT: serves requests, each by five calls to that port: two by an agent of four connections at a time with
 * one by fetch, then two
 * that are written with those of others that ask within the same turn of the loop, over one connection: as one text, with an array of callbacks, as
 * ioredis does. Or (listed) all are written each by itself into a corked socket, with a list of who waits, as node-redis does, by a client that holds much
 * else: one alone, then four of one caller. Or (apart) one by fetch is waited for, and then four by the agent are begun, which are waited for one after
 * the other. It is an http.Server's, or (by) that of the framework NAME in FILE (frameworks/servers.mjs). Prints its port; when its standard input
 * ends, it prints for each call "WAY-NUMBER NAME", which call was of which request, and ends. Nothing in a call says whose it is, nor in an answer.
 */
import http from 'node:http';
import net from 'node:net';
import { pathToFileURL } from 'node:url';

const upstream = Number(process.argv.at(-1));
const isListed = process.argv[2] === 'listed';
const isApart = process.argv[2] === 'apart';
const framework = process.argv[2] === 'by' ? process.argv.slice(3, 5) : undefined;
const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
const whose = new Map();
let last = 1000;

function pathFor(name, way) {
  const number = `${way}-${++last}`;
  whose.set(number, name);
  return `/${number}`;
}

const byAgent = (name) => new Promise((resolve, reject) => {
  http.get({ port: upstream, host: '127.0.0.1', agent, path: pathFor(name, 'agent') }, (response) => { response.resume().on('end', resolve); }).on('error', reject);
});

async function byFetch(name) {
  const response = await fetch(`http://127.0.0.1:${upstream}${pathFor(name, 'fetch')}`);
  return response.text();
}

/** Called with each answer, in turn. */
const waiting = [];
const shared = net.connect(upstream, '127.0.0.1').setNoDelay();
let read = '';
shared.on('data', (bytes) => {
  read += bytes;
  for (let end = read.indexOf('same'); end >= 0; end = read.indexOf('same')) {
    read = read.slice(end + 4);
    waiting.shift()();
  }
});

/** What has been asked since the last turn, and what is called when it is answered. */
let batch;

function flush() {
  const { texts, callbacks } = batch;
  batch = undefined;
  const answered = callbacks.values();
  for (let n = 0; n < callbacks.length; n += 1) waiting.push(() => answered.next().value());
  shared.write(texts.join(''));
}

const together = (name) => new Promise((resolve) => {
  if (batch === undefined) {
    const made = { texts: [], callbacks: [] };
    batch = made;
    const { callbacks } = made;
    setImmediate(() => { if (callbacks.length > 0) flush(); });
  }
  batch.texts.push(`GET ${pathFor(name, 'shared')} HTTP/1.1\r\nHost: upstream\r\n\r\n`);
  batch.callbacks.push(() => { resolve(); });
});

/** Commands, each with the next. */
class List {
  first = undefined;
  last = undefined;

  push(value) {
    const node = { value, next: undefined };
    if (this.last === undefined) this.first = node;
    else this.last.next = node;
    this.last = node;
  }

  shift() {
    const { value, next } = this.first;
    this.first = next;
    if (next === undefined) this.last = undefined;
    return value;
  }
}

function named(count, make) {
  return Object.fromEntries(Array.from({ length: count }, (_, at) => [`name${at}`, make()]));
}

class Commands {
  toWrite = new List();
  waiting = new List();
  /** What else leads from a call to more than to a request, as such clients hold what can be asked for, by modules. */
  modules = named(20, () => named(20, () => () => undefined));

  async ask(name) {
    const answer = await this.add(name);
    this.asked = name;
    return answer;
  }

  async askAll(name) {
    await Promise.all([this.add(name), this.add(name), this.add(name), this.add(name)]);
    this.asked = name;
  }

  add(name) {
    return new Promise((resolve) => {
      if (this.toWrite.first === undefined) setTimeout(() => { this.schedule(); }, 40);
      this.toWrite.push({ text: `GET ${pathFor(name, 'listed')} HTTP/1.1\r\nHost: upstream\r\n\r\n`, resolve });
    });
  }

  /** Others have something to do in the same turn, which stands in a list with it. */
  schedule() {
    this.scheduled = setImmediate(() => { this.write(); });
    setImmediate(() => undefined);
  }

  write() {
    shared.cork();
    for (const text of this.texts()) shared.write(text);
    shared.uncork();
  }

  *texts() {
    while (this.toWrite.first !== undefined) {
      const command = this.toWrite.shift();
      this.waiting.push(command);
      waiting.push(() => { this.waiting.shift().resolve(); });
      yield command.text;
    }
  }
}

const commands = new Commands();

async function work(name) {
  if (isListed) {
    await commands.ask(name);
    await commands.askAll(name);
  } else if (isApart) {
    await byFetch(name);
    const [first, second, third, fourth] = [byAgent(name), byAgent(name), byAgent(name), byAgent(name)];
    await first;
    await second;
    await third;
    await fourth;
  } else {
    await Promise.all([byAgent(name), byAgent(name), byFetch(name)]);
    await together(name);
    await together(name);
  }
}

if (framework === undefined) {
  const server = http.createServer(async (request, response) => {
    await work(request.url.slice(1));
    response.end('done');
  }).listen(0, '127.0.0.1', () => { console.log(server.address().port); });
} else {
  const { servers } = await import(pathToFileURL(framework[0]).href);
  console.log(await servers[framework[1]](work));
}

process.stdin.resume().on('end', () => {
  // In one write that is waited for: many are more than a socket holds that is not read at once, and the exit would lose the rest.
  process.stdout.write([...whose].map(([number, name]) => `${number} ${name}\n`).join(''), () => { process.exit(0); });
});
