import assert from 'node:assert/strict';
import dns from 'dns-packet';
import { Names } from '../../../src/replay/names.ts';

function ask(names: Names, name: string, type: 'A' | 'AAAA' | 'MX' = 'A'): { rcode: string; data: unknown[] } {
  const answer = names.answer(dns.encode({ type: 'query', id: 7, flags: dns.RECURSION_DESIRED, questions: [{ type, name, class: 'IN' }] }));
  assert.ok(answer);
  const decoded = dns.decode(answer) as dns.DecodedPacket & { rcode: string };
  assert.equal(decoded.id, 7);
  return { rcode: decoded.rcode, data: (decoded.answers ?? []).map((one) => ('data' in one ? one.data : undefined)) };
}

describe('names', () => {
  const names = (): Names => new Names({ 'db.internal': ['10.0.0.5', '2001:db8::5'], 'api.example.com': ['10.0.0.6'] }, ['10.0.0.5:5432', '10.0.0.6:80', '10.0.0.7:80']);

  it('resolve as recorded, each family to its own addresses', () => {
    assert.deepEqual(ask(names(), 'db.internal'), { rcode: 'NOERROR', data: ['10.0.0.5'] });
    assert.deepEqual(ask(names(), 'DB.internal', 'AAAA'), { rcode: 'NOERROR', data: ['2001:db8::5'] });
    assert.deepEqual(ask(names(), 'db.internal', 'MX'), { rcode: 'NOERROR', data: [] });
  });

  it('resolve by their first part where that is the beginning of one recorded name', () => {
    assert.deepEqual(ask(names(), 'db').data, ['10.0.0.5']);
  });

  it('do not resolve with a search domain behind a recorded name, so that the resolver asks for the name itself', () => {
    assert.deepEqual(ask(names(), 'api.example.com.cluster.local'), { rcode: 'NXDOMAIN', data: [] });
  });

  it('that were never asked for get an address that stands for the one destination with that port', () => {
    const some = names();
    const [address] = ask(some, 'postgres').data as string[];
    assert.match(address ?? '', /^198\.18\./);
    assert.equal(some.meant({ host: address ?? '', port: 5432 }).destination, '10.0.0.5:5432');
    assert.equal(some.meant({ host: address ?? '', port: 80 }).destination, 'postgres:80', 'two recorded destinations have port 80: not guessed');
    assert.deepEqual(ask(some, 'postgres').data, [address]);
  });

  it('that were never asked for have an address each, however many there are: the oldest is forgotten', function () {
    this.timeout(60_000);
    const some = names();
    const of = (name: string): string => (ask(some, name).data as string[])[0] ?? '';
    const first = of('host0.test');
    for (let n = 1; n < 0xffff; n += 1) of(`host${n}.test`);
    const last = of('one-more.test');
    assert.equal(last, first, 'it has the address of the oldest');
    assert.equal(some.meant({ host: last, port: 9 }).destination, 'one-more.test:9');
    assert.equal(some.meant({ host: of('host1.test'), port: 9 }).destination, 'host1.test:9');
  });

  it('leave recorded addresses alone', () => {
    assert.equal(names().meant({ host: '10.0.0.7', port: 80 }).destination, '10.0.0.7:80');
  });

  it('are not answered when the message is no query', () => {
    for (const junk of ['', 'x', '\0'.repeat(12), '\xff'.repeat(40)]) assert.equal(names().answer(Buffer.from(junk, 'latin1')), undefined);
  });

  it('of a bypassed destination mean what they mean in the real world', () => {
    const some = new Names({ 'db.internal': ['10.0.0.5'] }, [], { addresses: [], operations: [], names: [{ name: 'db.internal', addresses: ['192.0.2.9'] }] });
    assert.deepEqual(ask(some, 'db.internal').data, ['192.0.2.9']);
  });

  it('of a moved dependency lead to where it was, also by an address or a port of its own', () => {
    const some = new Names({ 'db.internal': ['10.0.0.5'] }, ['10.0.0.5:5432', '10.0.0.6:80', '10.0.0.7:80'], undefined, [
      { recorded: { host: 'db.internal' }, live: { host: 'db.test' } }, { recorded: { host: 'db.internal' }, live: { host: '192.0.2.1' } },
      { recorded: { host: '10.0.0.7', port: 80 }, live: { host: 'api.test', port: 8080 } },
    ]);
    assert.deepEqual(ask(some, 'db.test').data, ['10.0.0.5']);
    assert.equal(some.meant({ host: '192.0.2.1', port: 5432 }).destination, '10.0.0.5:5432');
    const [host = ''] = ask(some, 'api.test').data as string[];
    assert.equal(some.meant({ host, port: 8080 }).destination, '10.0.0.7:80');
    assert.deepEqual(some.meant({ host, port: 8081 }), { destination: 'api.test:8081', real: { host: 'api.test', port: 8081 } });
  });
});
