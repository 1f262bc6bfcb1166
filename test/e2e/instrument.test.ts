/** `attach --instrument node`: what it does to a service, and what is left of it, also when the recorder is killed. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { get } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { listenersOf } from '../../src/instrument/candidate.ts';
import { exported, Recorder, whyNotRecordable } from './recorder.ts';
import { ridOf } from './score.ts';
import { Clients } from './services/client.ts';
import { Daemon, accepts, freePort, removeDir, temporaryDir } from './services/daemon.ts';
import { nodeDrivers, whyNoDrivers } from './services/drivers.ts';
import { ridMaker } from './services/rid.ts';
import type { Service } from './services/service.ts';
import { skipIf } from '../skip.ts';

const FLAGS = ['--instrument', 'node'];
const KILLS = 6;
const CLIENTS = 8;

interface Debug {
  readonly changed: readonly string[];
  readonly symbols: readonly string[];
  readonly channels: readonly string[];
  readonly udp: number;
}
const UNTOUCHED: Debug = { changed: [], symbols: [], channels: [], udp: 0 };

function json(port: number, path: string): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    get({ port, host: '127.0.0.1', path, agent: false, timeout: 10_000 }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => { text += part; }).on('end', () => resolve(JSON.parse(text) as Record<string, unknown>));
    }).on('error', reject);
  });
}

async function debugOf(port: number): Promise<Debug> {
  const { changed, symbols, channels, udp } = await json(port, '/debug') as unknown as Debug;
  return { changed, symbols, channels, udp };
}

/** Asks every 50 ms, and waits long: this machine may be busy. */
async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const endMs = performance.now() + 120_000;
  while (!await condition()) {
    if (performance.now() > endMs) throw new Error(`waited two minutes for ${what}`);
    await sleep(50);
  }
}

/** Processes that talk with inspectors on a recorder's behalf, and outlive it for a moment. */
const keepers = (): number[] => readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => {
  try {
    return /instrument\/keeper\.[jt]s\0/.test(readFileSync(`/proc/${pid}/cmdline`, 'latin1'));
  } catch {
    return false;
  }
});

/** Ports that a process listens on. */
const ports = (pid: number): number[] => listenersOf(pid).map(({ local }) => local.port).sort();

describe('attach --instrument node', function () {
  this.timeout(600_000);

  before(async function () {
    skipIf(this, await whyNotRecordable());
  });

  describe('on a service with the drivers of Node services', () => {
    let service: Service;
    let dir: string;
    let pid: number;
    const ridAt = ridMaker();
    let asked = 0;

    before(async function () {
      skipIf(this, whyNoDrivers());
      dir = temporaryDir('instrument');
      service = await nodeDrivers({ how: 'asked' });
      pid = service.parts[0]!.pid;
    });

    after(async () => {
      await service?.stop();
      if (dir !== undefined) removeDir(dir);
    });

    /** Sends so many requests, all of which must be answered. */
    async function load(clients: Clients, count: number): Promise<void> {
      const exchanges = await clients.send(Array.from({ length: count }, () => service.ask(ridAt(asked), asked++)));
      for (const { rid, status, body } of exchanges) assert.equal(status, 200, `${rid}: ${body.toString().slice(0, 300)}`);
    }

    it('changes the service while it records, and leaves nothing of it behind', async () => {
      const listening = ports(pid);
      assert.deepEqual(await debugOf(service.port), UNTOUCHED);
      const recorder = await Recorder.attach([pid], join(dir, 'detach'), FLAGS);
      const clients = new Clients(service.port, CLIENTS, { keepAlive: true });
      try {
        const during = await debugOf(service.port);
        // Else what follows could not see it either.
        assert.ok(during.changed.includes('socket.write') && during.changed.includes('client.query') && during.changed.includes('redis') && during.changed.includes('mysql'), during.changed.join());
        assert.equal(during.udp, 1);
        assert.equal(during.channels.length, 4);
        assert.deepEqual(ports(pid), listening, 'the inspector is closed while it records');
        await load(clients, 40);
        await recorder.stop();
        assert.deepEqual(await debugOf(service.port), UNTOUCHED);
        assert.deepEqual(ports(pid), listening);
        assert.deepEqual(recorder.told('instrument').map(({ tgid, state }) => [tgid, state]), [[pid, 'on'], [pid, 'off']]);
        await load(clients, 40);
      } finally {
        clients.close();
        recorder.kill();
      }
    });

    it('answers every request while recorders are killed at any moment, and is each time as it was before', async () => {
      const listening = ports(pid);
      const clients = new Clients(service.port, CLIENTS, { keepAlive: true });
      let going = true;
      const loading = (async () => { while (going) await load(clients, CLIENTS); })();
      const touched: boolean[] = [];
      try {
        for (let round = 0; round < KILLS; round += 1) {
          const recorder = Recorder.start([pid], join(dir, `kill-${round}`), FLAGS);
          try {
            // Before, in the midst of, and after the conversation with the inspector.
            if (round % 2 === 0) await until(async () => (await debugOf(service.port)).changed.length > 0, 'the service to be asked');
            else await until(() => recorder.said !== '' || keepers().length > 0, 'a keeper');
            await sleep(Math.random() * 300);
            touched.push((await debugOf(service.port)).changed.length > 0);
          } finally {
            recorder.kill();
          }
          await until(() => keepers().length === 0, 'the keeper to end');
          await until(async () => JSON.stringify(await debugOf(service.port)) === JSON.stringify(UNTOUCHED), 'the service to be as it was');
          assert.deepEqual(ports(pid), listening, `round ${round}: no inspector is left open`);
        }
      } finally {
        going = false;
        await loading.finally(() => clients.close());
      }
      assert.ok(touched.filter((one) => one).length >= KILLS / 2, 'half of them were killed while the service was asked');
    });

    it('is asked again after all that, and tells whose each call is', async () => {
      const recorder = await Recorder.attach([pid], join(dir, 'again'), FLAGS);
      const clients = new Clients(service.port, CLIENTS, { keepAlive: true });
      try {
        await load(clients, 40);
        await recorder.stop();
      } finally {
        clients.close();
        recorder.kill();
      }
      const { sessions } = await exported(join(dir, 'again'));
      const calls = sessions.filter((session) => ridOf(session) !== undefined).flatMap((session) => session.outbound);
      assert.ok(calls.length >= 40 * 15);
      assert.deepEqual([...new Set(calls.map(({ attribution, certainty }) => `${attribution} ${certainty}`))], ['runtime proven']);
    });

    it('goes on when it is asked by two recorders, until the last one leaves', async () => {
      const one = await Recorder.attach([pid], join(dir, 'one'), FLAGS);
      const two = await Recorder.attach([pid], join(dir, 'two'), FLAGS);
      try {
        one.kill();
        await until(() => keepers().length === 1, 'the first one\'s keeper to end');
        await sleep(1_500);
        assert.ok((await debugOf(service.port)).changed.length > 0, 'the second one still asks');
        await two.stop();
        assert.deepEqual(await debugOf(service.port), UNTOUCHED);
      } finally {
        one.kill();
        two.kill();
      }
    });
  });

  describe('on small services', () => {
    const SERVER = `
      const http = require('node:http');
      const up = http.createServer((request, response) => response.end('up')).listen(0, '127.0.0.1');
      http.createServer((request, response) => {
        http.get({ port: up.address().port, host: '127.0.0.1', path: request.url }, (answer) => { answer.resume(); answer.on('end', () => response.end('done')); });
      }).listen(Number(process.env.PORT), '127.0.0.1');`;
    let dir: string;
    let port: number;

    beforeEach(async () => {
      dir = temporaryDir('instrument');
      port = await freePort();
    });
    afterEach(() => removeDir(dir));

    const server = (args: readonly string[] = [], before = '', command = process.execPath): Promise<Daemon> => Daemon.start({
      name: 'server', command, args: [...args, '-e', before + SERVER], dir, env: { PORT: String(port) }, ready: () => accepts(port),
    });

    /** Attaches, sends a few requests, and stops. */
    async function recorded(daemon: Daemon, during?: () => Promise<void>): Promise<{ recorder: Recorder; ties: string[] }> {
      const recorder = await Recorder.attach([daemon.pid], join(dir, 'rec'), FLAGS);
      try {
        for (let n = 0; n < 5; n += 1) await ask(port, `/${n}`);
        await during?.();
        await recorder.stop();
      } finally {
        recorder.kill();
      }
      const { sessions } = await exported(join(dir, 'rec'));
      return { recorder, ties: sessions.flatMap((session) => session.outbound).map(({ attribution, certainty }) => `${attribution} ${certainty}`) };
    }

    it('sends no signal to a process that handles SIGUSR1 itself, and records it all the same', async () => {
      const daemon = await server([], 'process.on("SIGUSR1", () => console.log("got it"));');
      try {
        const { recorder, ties } = await recorded(daemon);
        assert.ok(!daemon.log().includes('got it'), daemon.log());
        const [told] = recorder.told('instrument');
        assert.deepEqual([told!['tgid'], told!['state']], [daemon.pid, 'refused']);
        assert.match(String(told!['why']), /handler of its own/);
        assert.match(recorder.said, /handler of its own[^]*nobody is asked/);
        assert.equal(ties.length, 5);
      } finally {
        await daemon.stop();
      }
    });

    it('uses an inspector that is open already, and leaves it open', async () => {
      const inspector = await freePort();
      const daemon = await server([`--inspect=127.0.0.1:${inspector}`]);
      try {
        const { ties } = await recorded(daemon);
        assert.deepEqual(new Set(ties), new Set(['runtime proven']));
        assert.ok(ports(daemon.pid).includes(inspector));
      } finally {
        await daemon.stop();
      }
    });

    it('asks nobody whose inspector\'s port is taken, and says by whom', async () => {
      const taken = createServer();
      await new Promise<void>((resolve, reject) => { taken.once('error', reject).listen(9229, '127.0.0.1', resolve); });
      const daemon = await server();
      try {
        const { recorder, ties } = await recorded(daemon);
        const [told] = recorder.told('instrument');
        assert.equal(told!['state'], 'refused');
        assert.match(String(told!['why']), new RegExp(`port 9229.* is taken by .*\\(${process.pid}\\)`));
        assert.equal(ties.length, 5);
      } finally {
        await daemon.stop();
        taken.close();
      }
    });

    it('records nothing of its own conversation with the inspector', async () => {
      const daemon = await server();
      try {
        await recorded(daemon);
        const { sessions, ambient } = await exported(join(dir, 'rec'));
        const paths = sessions.map((session) => (session.inbound.request[0] as { text?: string }).text?.split(' ')[1]);
        assert.deepEqual([...new Set(paths)].sort(), ['/0', '/1', '/2', '/3', '/4']);
        assert.deepEqual(ambient, []);
      } finally {
        await daemon.stop();
      }
    });

    it('asks a command that becomes Node, and processes that begin later', async () => {
      const recorder = await Recorder.run(['sh', '-c', `trap 'kill $!; exit' INT; PORT=${port} ${process.execPath} -e "$0" & wait`, SERVER], join(dir, 'rec'), FLAGS);
      try {
        await until(() => recorder.told('instrument').some(({ state }) => state === 'on'), 'it to be asked');
        await until(() => accepts(port), 'the server');
        for (let n = 0; n < 5; n += 1) await ask(port, `/${n}`);
        await recorder.stop();
      } finally {
        recorder.kill();
      }
      const { sessions } = await exported(join(dir, 'rec'));
      assert.deepEqual(new Set(sessions.flatMap((session) => session.outbound).map(({ attribution }) => attribution)), new Set(['runtime']));
    });

    it('asks a service in network and process namespaces of its own, as in a container', async () => {
      const daemon = await Daemon.start({
        name: 'contained', command: 'unshare', dir, env: { PORT: String(port) },
        args: ['--net', '--pid', '--fork', '--kill-child', '--mount-proc', 'sh', '-c', 'ip link set lo up && exec "$0" -e "$1"', process.execPath, SERVER],
        ready: () => Promise.resolve(contained(daemonPid()) !== undefined && ports(contained(daemonPid())!).includes(port)),
      });
      function daemonPid(): number { return Number(readdirSync('/proc').find((name) => /^\d+$/.test(name) && cmdline(Number(name)).startsWith('unshare\0--net\0--pid') && cmdline(Number(name)).includes(SERVER)) ?? 0); }
      try {
        const inside = contained(daemon.pid)!;
        const recorder = await Recorder.attach([inside], join(dir, 'rec'), FLAGS);
        try {
          for (let n = 0; n < 5; n += 1) await inNetwork(inside, `http://127.0.0.1:${port}/${n}`);
          assert.deepEqual(recorder.told('instrument').map(({ state }) => state), ['on']);
          await recorder.stop();
          assert.deepEqual(recorder.told('instrument').map(({ state }) => state), ['on', 'off']);
        } finally {
          recorder.kill();
        }
        const { sessions } = await exported(join(dir, 'rec'));
        const ties = sessions.flatMap((session) => session.outbound).map(({ attribution, certainty }) => `${attribution} ${certainty}`);
        assert.deepEqual(ties, Array.from({ length: 5 }, () => 'runtime proven'));
      } finally {
        await daemon.stop();
      }
    });
  });
});

function ask(port: number, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    get({ port, host: '127.0.0.1', path, agent: false, timeout: 10_000 }, (response) => { response.resume().on('end', () => resolve()); }).on('error', reject);
  });
}

function cmdline(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}

/** The Node below `unshare --fork`. */
function contained(pid: number): number | undefined {
  const child = Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ')[0]);
  return child > 0 && cmdline(child).startsWith(process.execPath) ? child : undefined;
}

function inNetwork(pid: number, url: string): Promise<void> {
  const child: ChildProcess = spawn('nsenter', ['-t', String(pid), '-n', 'curl', '-sS', url], { stdio: 'ignore' });
  return new Promise((resolve, reject) => { child.once('exit', (code) => code === 0 ? resolve() : reject(new Error(`curl ${url}: ${code}`))); });
}
