import assert from 'node:assert/strict';
import { bypassedOf, movedOf, paceOf } from '../../../src/cli/replay-world.ts';
import { EnvironmentError, UserError } from '../../../src/errors.ts';

describe('the flags that let the real world in', () => {
  it('take addresses, ports, names and operations; names mean what they mean here', async () => {
    const { addresses, names, operations, sockets } = await bypassedOf({}, ['unix:/run/a.sock', '10.0.0.1:80,:9000', '10.0.0.2', '[::1]:5', 'localhost:443', 'GET config.internal/*', 'redis publish']);
    assert.deepEqual(addresses, [{ host: '10.0.0.1', port: 80 }, { port: 9000 }, { host: '10.0.0.2' }, { host: '::1', port: 5 }]);
    assert.deepEqual(sockets, ['/run/a.sock']);
    assert.deepEqual(names.map(({ name, port }) => [name, port]), [['localhost', 443]]);
    assert.ok(names[0]?.addresses.some((address) => address === '127.0.0.1' || address === '::1'));
    assert.deepEqual(operations, [{ protocol: 'http', method: 'GET', target: 'config.internal/*' }, { protocol: 'redis', command: 'publish' }]);
  });

  it('are KOALA_OUTBOUND_BYPASS_ADDR and _PORT where no flag is given', async () => {
    const environment = { KOALA_OUTBOUND_BYPASS_ADDR: '10.0.0.1:80', KOALA_OUTBOUND_BYPASS_PORT: '9229' };
    assert.deepEqual((await bypassedOf(environment, undefined)).addresses, [{ host: '10.0.0.1', port: 80 }, { port: 9229 }]);
    assert.deepEqual((await bypassedOf(environment, [':1'])).addresses, [{ port: 1 }]);
  });

  it('refuse what is none of these, and a name that is none', async () => {
    for (const wrong of ['10.0.0.1:0', ':70000', 'a b c', 'get x', '1.2.3', 'redis', '-x'].filter((text) => text !== 'redis')) {
      await assert.rejects(bypassedOf({}, [wrong]), UserError, wrong);
    }
    await assert.rejects(bypassedOf({}, ['no-such-name.invalid']), EnvironmentError);
  });

  it('take RECORDED=NOW, both with a port or neither', () => {
    assert.deepEqual(movedOf(['10.0.0.5:5432=127.0.0.1:5433', 'DB.internal=db.test', '[::1]:1=a:2']), [
      { recorded: { host: '10.0.0.5', port: 5432 }, live: { host: '127.0.0.1', port: 5433 } },
      { recorded: { host: 'db.internal' }, live: { host: 'db.test' } },
      { recorded: { host: '::1', port: 1 }, live: { host: 'a', port: 2 } },
    ]);
    for (const wrong of ['a', 'a=b=c', 'a:1=b', 'a=b:1', '=b', 'a=']) assert.throws(() => movedOf([wrong]), UserError, wrong);
  });

  it('take none, recorded and factors for the latency', () => {
    assert.deepEqual(['none', 'recorded', 'x2', 'x0.5', 'x.5'].map((text) => paceOf(text, 'none').latency), [0, 1, 2, 0.5, 0.5]);
    for (const wrong of ['x', '2', 'x-1', 'fast']) assert.throws(() => paceOf(wrong, 'none'), UserError, wrong);
  });
});
