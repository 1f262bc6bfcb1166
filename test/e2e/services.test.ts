/** The services and the truth themselves, without any recorder: what the other tests stand on. Needs root for the daemons' users. */
import assert from 'node:assert/strict';
import { truthErrors, truthsOf } from './scenario.ts';
import { Clients } from './services/client.ts';
import { gunicorn } from './services/gunicorn.ts';
import { nginxProxy, pseudoRandom } from './services/nginx.ts';
import { nodeService } from './services/node.ts';
import { php } from './services/php.ts';
import { ridMaker } from './services/rid.ts';
import type { Service } from './services/service.ts';

const MAKERS: Readonly<Record<string, () => Promise<Service>>> = {
  'gunicorn gthread': () => gunicorn({ worker: 'gthread', sql: 'tcp' }),
  'gunicorn sync': () => gunicorn({ worker: 'sync', sql: 'unix' }),
  'php-fpm by TCP': () => php('tcp'),
  'php-fpm by a unix socket': () => php('unix'),
  'nginx as reverse proxy': nginxProxy,
  'Node': () => nodeService({ leftOvers: true }),
};

async function withService<S extends Service>(make: () => Promise<S>, use: (service: S, clients: Clients) => Promise<void>): Promise<void> {
  const service = await make();
  const clients = new Clients(service.port, 16, { keepAlive: service.keepAlive });
  try {
    await use(service, clients);
  } finally {
    clients.close();
    await service.stop();
  }
}

describe('the services under test, without a recorder', function () {
  this.timeout(90_000);

  before(function () {
    if (process.getuid?.() === 0) return;
    console.log('      skipped: the databases run as users of their own, which needs root');
    this.skip();
  });

  for (const [name, make] of Object.entries(MAKERS)) {
    it(`${name} answers each request with its own id, and the dependencies log exactly its calls`, () => withService(make, async (service, clients) => {
      const ridAt = ridMaker();
      const exchanges = await clients.send(Array.from({ length: 64 }, (_, index) => service.ask(ridAt(index), index)));
      const rids = new Set(exchanges.map((each) => each.rid));
      const truths = (await Promise.all(service.parts.map((part) => truthsOf(part, rids)))).flat();
      assert.deepEqual(truthErrors(service, exchanges, truths), []);
      assert.ok(truths.every((truth) => truth.calls.size === rids.size), 'a dependency was never called by some request');
    }));
  }

  it('nginx hands bodies of 4 MB on and static files out unchanged', () => withService(nginxProxy, async (service, clients) => {
    const body = pseudoRandom('a body', 4_000_000);
    const [post, film] = await clients.send([{ rid: 'rid-0000000000', target: '/big?pad=4000000', body }, { rid: 'rid-0000000001', target: '/static/film.bin' }]);
    assert.equal((JSON.parse(post!.body.toString()) as { received: number }).received, body.length);
    assert.ok(post!.body.length > 4_000_000);
    assert.ok(film!.body.equals(service.files.get('film.bin')!));
  }));
});
