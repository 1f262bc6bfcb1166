import assert from 'node:assert/strict';
import { postgresqlMessage as pg, readMessages } from '../../../src/protocols/postgresql-messages.ts';
import { parametersIn } from '../../../src/protocols/sql-parameters.ts';
import { Prepareds } from '../../../src/replay/statements/catalogue.ts';
import { converted } from '../../../src/replay/statements/postgresql-values.ts';
import { liveStatements, recordedStatements, type Pair, type Prepared, type Said } from '../../../src/replay/statements/statements.ts';

const join = (...parts: Uint8Array[]): Buffer => Buffer.concat(parts);
const text = (value: string): Buffer => Buffer.from(`${value}\0`);
const i16 = (...values: number[]): Buffer => join(...values.map((value) => { const out = Buffer.alloc(2); out.writeInt16BE(value); return out; }));
const i32 = (...values: number[]): Buffer => join(...values.map((value) => { const out = Buffer.alloc(4); out.writeInt32BE(value); return out; }));
const judge = { equal: () => false, similarity: (a: Uint8Array, b: Uint8Array): number => (Buffer.from(a).toString().slice(0, 8) === Buffer.from(b).toString().slice(0, 8) ? 0.9 : 0) };
const catalogue = (prepared: Iterable<Prepared> = []): Prepareds => new Prepareds([...prepared], judge, 0.7);

const SQL = 'select id from items where id = $1';
const parse = (name: string, sql = SQL): Buffer => pg('P', join(text(name), text(sql), i16(0)));
const bind = (name: string, value = '7', formats: number[] = []): Buffer => pg('B', join(text(''), text(name), i16(0), i16(1), i32(value.length), Buffer.from(value), i16(formats.length), i16(...formats)));
const describeIt = (kind: string, name = ''): Buffer => pg('D', text(kind + name));
const execute = pg('E', join(text(''), i32(0)));
const sync = pg('S', Buffer.alloc(0));
const EMPTY = Buffer.alloc(0);
const column = (format: number): Buffer => pg('T', join(i16(1), text('id'), i32(0), i16(0), i32(23), i16(4), i32(-1), i16(format)));
const row = (value: Uint8Array): Buffer => pg('D', join(i16(1), i32(value.length), value));
const done = join(pg('C', text('SELECT 1')), pg('Z', Buffer.from('I')));
const types = (bytes: Uint8Array): string => [...readMessages(bytes, 'server')].map(({ type }) => type).join('');
const PLAIN_ANSWER = join(pg('1', EMPTY), pg('2', EMPTY), column(0), row(Buffer.from('7')), done);

function call(said: Said): Extract<Said, { plain: Uint8Array }> {
  assert.ok('plain' in said);
  return said;
}

describe('prepared statements of PostgreSQL', () => {
  /** What a connection was recorded to say: prepared and described, then used. */
  const prepare: Pair = { request: join(parse('s1'), describeIt('S', 's1'), sync), response: join(pg('1', EMPTY), pg('t', join(i16(1), i32(23))), column(0), pg('Z', Buffer.from('I'))) };
  const use: Pair = { request: join(bind('s1'), execute, sync), response: join(pg('2', EMPTY), row(Buffer.from('7')), done) };
  const unnamed: Pair = { request: join(parse(''), bind(''), describeIt('P'), execute, sync), response: PLAIN_ANSWER };
  const named: Pair = { request: join(parse('other'), bind('other'), describeIt('P'), execute, sync), response: PLAIN_ANSWER };

  it('read the same whether the statement was prepared before, in the same request under a name, or not at all', () => {
    const first = recordedStatements('postgresql')!;
    assert.equal(first.read(prepare), undefined, 'a preparation is no call');
    const plain = first.read(use)!;
    for (const pair of [unnamed, named]) {
      const read = recordedStatements('postgresql')!.read(pair)!;
      assert.deepEqual(Buffer.from(read.request), Buffer.from(plain.request));
      assert.deepEqual(Buffer.from(read.response), Buffer.from(plain.response));
    }
    assert.deepEqual(Buffer.from(plain.response), PLAIN_ANSWER);
  });

  it('keep apart what differs in text or in a value', () => {
    const reader = recordedStatements('postgresql')!;
    const plains = [unnamed.request, join(parse('', `${SQL} or true`), bind(''), execute, sync), join(parse(''), bind('', '8'), execute, sync)]
      .map((request) => Buffer.from(reader.read({ request, response: PLAIN_ANSWER })!.request).toString('latin1'));
    assert.equal(new Set(plains).size, 3);
  });

  it('are answered as this client asked: with what it wanted described, and nothing else', () => {
    const reader = recordedStatements('postgresql')!;
    reader.read(prepare);
    const live = liveStatements('postgresql', catalogue(reader.prepared))!;
    const told = (request: Uint8Array): string => types(call(live.read(request)).tell(PLAIN_ANSWER, false));
    assert.equal(told(join(parse(''), bind(''), describeIt('P'), execute, sync)), '12TDCZ');
    assert.equal(told(join(parse(''), bind(''), execute, sync)), '12DCZ');
    assert.equal(told(join(parse('mine'), describeIt('S', 'mine'), bind('mine'), execute, sync)), '1tT2DCZ');
    assert.equal(told(join(bind('mine'), execute, sync)), '2DCZ');
  });

  it('are prepared without a call, and deallocated', () => {
    const reader = recordedStatements('postgresql')!;
    reader.read(prepare);
    const live = liveStatements('postgresql', catalogue(reader.prepared))!;
    const said = live.read(join(parse('mine'), describeIt('S', 'mine'), sync));
    assert.ok('settled' in said);
    assert.deepEqual(Buffer.from(said.settled), Buffer.from(prepare.response));
    const gone = live.read(pg('Q', text('DEALLOCATE ALL')));
    assert.ok('settled' in gone && types(gone.settled) === 'CZ');
    const lost = call(live.read(join(bind('mine'), execute, sync)));
    assert.deepEqual(Buffer.from(lost.plain), join(bind('mine'), execute, sync), 'a name that means nothing any more is handed on as it is');
  });

  it('that are closed right before a simple query leave that query as it is', () => {
    const begin = pg('Q', text('BEGIN'));
    const begun = join(pg('C', text('BEGIN')), pg('Z', Buffer.from('T')));
    const closing = join(pg('C', text('Ss1')), pg('C', text('Ss2')), begin);
    const closed = join(pg('3', EMPTY), pg('3', EMPTY), begun);
    const recorded = recordedStatements('postgresql')!;
    recorded.read(prepare);
    const read = recorded.read({ request: closing, response: closed })!;
    assert.deepEqual([Buffer.from(read.request), Buffer.from(read.response)], [begin, begun]);
    assert.equal(recorded.read(use)?.request, use.request, 'its name means nothing any more');

    const live = liveStatements('postgresql', catalogue())!;
    live.read(join(parse('s1'), describeIt('S', 's1'), sync));
    const said = call(live.read(closing));
    assert.deepEqual([Buffer.from(said.plain), Buffer.from(said.tell(begun, false))], [begin, closed]);
    const gone = live.read(join(pg('C', text('Ss1')), pg('Q', text('DEALLOCATE ALL'))));
    assert.ok('settled' in gone && types(gone.settled) === '3CZ');
    assert.deepEqual(call(live.read(join(bind('s1'), execute, sync))).plain, join(bind('s1'), execute, sync));
  });

  it('that were never recorded are prepared with as many parameters as their text has, of unknown type', () => {
    const said = liveStatements('postgresql', catalogue())!.read(join(parse('x', "select '$3', $2, $1"), describeIt('S', 'x'), sync));
    assert.ok('settled' in said);
    assert.deepEqual(Buffer.from(said.settled), join(pg('1', EMPTY), pg('t', join(i16(2), i32(0, 0))), pg('n', EMPTY), pg('Z', Buffer.from('I'))));
  });

  it('get their rows in the format that this execution asks for', () => {
    const live = liveStatements('postgresql', catalogue())!;
    const answer = call(live.read(join(parse(''), bind('', '7', [1]), describeIt('P'), execute, sync))).tell(PLAIN_ANSWER, false);
    assert.deepEqual(Buffer.from(answer), join(pg('1', EMPTY), pg('2', EMPTY), column(1), row(i32(7)), done));
  });

  it('end a request at the recorded error', () => {
    const error = pg('E', Buffer.from('SERROR\0C23505\0Mtwice\0\0'));
    const live = liveStatements('postgresql', catalogue())!;
    const request = join(parse(''), bind(''), describeIt('P'), execute, sync);
    const ready = pg('Z', Buffer.from('I'));
    assert.equal(types(call(live.read(request)).tell(join(error, ready), false)), 'EZ', 'it was not even parsed');
    assert.equal(types(call(live.read(request)).tell(join(pg('1', EMPTY), pg('2', EMPTY), column(0), error, ready), false)), '12TEZ', 'it was executed');
  });

  it('of nothing are no calls: pools ask so whether a connection lives', () => {
    const probes = [join(parse('', ''), bind(''), execute, sync), pg('Q', text(' ;')), pg('Q', text('-- ping')), pg('Q', text('/* is it\nthere */ -- ?\n;'))];
    for (const request of probes) assert.equal(recordedStatements('postgresql')!.read({ request, response: done }), undefined);
    const told = probes.map((request) => { const said = liveStatements('postgresql', catalogue())!.read(request); return 'settled' in said ? types(said.settled) : 'a call'; });
    assert.deepEqual(told, ['12IZ', 'IZ', 'IZ', 'IZ']);
    const asked = pg('Q', text('-- ping\nselect 1'));
    assert.equal(call(liveStatements('postgresql', catalogue())!.read(asked)).plain, asked);
  });

  it('leave a transaction failed where our own error answers within one', () => {
    const live = liveStatements('postgresql', catalogue())!;
    call(live.read(pg('Q', text('BEGIN')))).tell(join(pg('C', text('BEGIN')), pg('Z', Buffer.from('T'))), false);
    const missed = call(live.read(pg('Q', text('select 1')))).tell(join(pg('E', text('SERROR')), pg('Z', Buffer.from('I'))), true);
    assert.equal(String.fromCharCode(missed.at(-1)!), 'E');
  });
});

describe('values of PostgreSQL', () => {
  const CASES: readonly (readonly [string, number, string, string])[] = [
    ['int2', 21, '-2', 'fffe'], ['int4', 23, '7', '00000007'], ['int8', 20, '-9007199254740993', 'ffdfffffffffffff'], ['bool', 16, 't', '01'],
    ['float8', 701, '0.1', '3fb999999999999a'], ['float8 that is large', 701, '1e+20', '4415af1d78b58c40'], ['float8 without decimals', 701, '1250', '4093880000000000'],
    ['float4', 700, '0.1', '3dcccccd'], ['text', 25, 'ü', 'c3bc'], ['bytea', 17, '\\x00ff', '00ff'], ['date', 1082, '2024-02-29', '00002279'],
    ['timestamp', 1114, '2024-02-29 13:14:15.016', '0002b4d1fb1e3a40'], ['timestamp before 2000', 1114, '1999-12-31 23:59:59.5', 'fffffffffff85ee0'],
    ['numeric', 1700, '12.50', '0002000000000002000c1388'], ['numeric that is small', 1700, '-0.0001', '0001ffff400000040001'], ['numeric that is large', 1700, '100000000', '00010002000000000001'],
    ['numeric zero', 1700, '0.00', '0000000000000002'], ['uuid', 2950, '00010203-0405-0607-0809-0a0b0c0d0e0f', '000102030405060708090a0b0c0d0e0f'],
  ];
  for (const [name, type, asText, hex] of CASES) {
    it(`of type ${name} are told both ways: ${asText}`, () => {
      if (!name.startsWith('timestamp')) assert.equal(Buffer.from(converted(Buffer.from(asText), type, true) ?? []).toString('hex'), hex);
      const binary = converted(Buffer.from(asText), type, true)!;
      assert.equal(Buffer.from(converted(binary, type, false) ?? []).toString(), asText);
    });
  }

  it('of an unknown type, or too short for theirs, are not guessed', () => {
    assert.equal(converted(Buffer.from('1'), 99_999, true), undefined);
    assert.equal(converted(Buffer.from([1]), 23, false), undefined);
    assert.equal(converted(Buffer.alloc(8), 1184, false), undefined);
  });
});

describe('prepared statements of MySQL', () => {
  const packet = (sequence: number, ...parts: Uint8Array[]): Buffer => {
    const body = join(...parts);
    const head = Buffer.alloc(4);
    head.writeUIntLE(body.length, 0, 3);
    head[3] = sequence;
    return join(head, body);
  };
  const id = (value: number): Buffer => { const out = Buffer.alloc(4); out.writeUInt32LE(value); return out; };
  const MY = 'select id from items where id = ?';
  const prepareRequest = packet(0, Buffer.from([22]), Buffer.from(MY));
  const prepareOk = (statement: number): Buffer => join(packet(1, Buffer.from([0]), id(statement), Buffer.from([1, 0, 1, 0, 0, 0, 0])),
    packet(2, Buffer.from('parameter')), packet(3, Buffer.from([0xfe, 0, 0, 2, 0])), packet(4, Buffer.from('column')), packet(5, Buffer.from([0xfe, 0, 0, 2, 0])));
  /** NULLs, 1 and types (LONG) or 0, values. */
  const run = (statement: number, value: number, withTypes = true): Buffer => packet(0, Buffer.from([23]), id(statement), Buffer.from([0, 1, 0, 0, 0, 0]),
    Buffer.from(withTypes ? [1, 3, 0] : [0]), id(value));
  const rows = join(packet(1, Buffer.from([1])), packet(2, Buffer.from('column')), packet(3, Buffer.from([0, 0, 7])), packet(4, Buffer.from([0xfe, 0, 0, 2, 0])));

  it('read the same whatever their number, and whether or not the types are told again', () => {
    const [one, two] = [recordedStatements('mysql')!, recordedStatements('mysql')!];
    assert.equal(one.read({ request: prepareRequest, response: prepareOk(1) }), undefined);
    assert.equal(two.read({ request: prepareRequest, response: prepareOk(9) }), undefined);
    const first = one.read({ request: run(1, 7), response: rows })!;
    two.read({ request: run(9, 5), response: rows });
    const second = two.read({ request: run(9, 7, false), response: rows })!;
    assert.deepEqual(Buffer.from(second.request), Buffer.from(first.request));
    assert.deepEqual(Buffer.from(second.response), Buffer.from(first.response));
    const other = one.read({ request: run(1, 8), response: rows })!;
    assert.notDeepEqual(Buffer.from(other.request), Buffer.from(first.request));
  });

  it('are prepared under numbers of the live connection, and their executions answered without the preparation', () => {
    const reader = recordedStatements('mysql')!;
    reader.read({ request: prepareRequest, response: prepareOk(41) });
    const plain = reader.read({ request: run(41, 7), response: rows })!;
    const live = liveStatements('mysql', catalogue(reader.prepared))!;
    live.read(prepareRequest);
    const said = live.read(prepareRequest);
    assert.ok('settled' in said);
    assert.deepEqual(Buffer.from(said.settled), prepareOk(2));
    const asked = call(live.read(run(2, 7)));
    assert.deepEqual(Buffer.from(asked.plain), Buffer.from(plain.request));
    assert.deepEqual(Buffer.from(asked.tell(plain.response, false)), rows);
    const error = packet(1, Buffer.from([0xff, 0x51, 4]), Buffer.from('#HY000no'));
    assert.deepEqual(Buffer.from(asked.tell(error, true)), error);
  });

  it('are closed without a word, and reset with an OK', () => {
    const live = liveStatements('mysql', catalogue())!;
    live.read(prepareRequest);
    assert.deepEqual(live.read(packet(0, Buffer.from([25]), id(1))), { settled: new Uint8Array(0) });
    const reset = live.read(packet(0, Buffer.from([26]), id(1)));
    assert.ok('settled' in reset && reset.settled[4] === 0);
    assert.ok(call(live.read(run(1, 7))).plain.length === run(1, 7).length, 'a closed one is handed on as it is');
  });

  it('do not make COM_PING a call', () => {
    const ping = packet(0, Buffer.from([14]));
    assert.equal(recordedStatements('mysql')!.read({ request: ping, response: ping }), undefined);
    const said = liveStatements('mysql', catalogue())!.read(ping);
    assert.ok('settled' in said && said.settled[4] === 0);
  });

  it('carry their long data', () => {
    const live = liveStatements('mysql', catalogue())!;
    live.read(prepareRequest);
    const long = (data: string): Buffer => packet(0, Buffer.from([24]), id(1), Buffer.from([0, 0]), Buffer.from(data));
    live.read(long('abc'));
    const one = Buffer.from(call(live.read(run(1, 7))).plain).toString('latin1');
    live.read(long('abd'));
    const two = Buffer.from(call(live.read(run(1, 7))).plain).toString('latin1');
    assert.match(one, /abc/);
    assert.notEqual(one, two);
  });
});

describe('the catalogue of prepared statements', () => {
  it('finds the text itself, else the likest one with as many parameters', () => {
    const answer = new Uint8Array([1]);
    const some = new Prepareds(['select a from t where b = ?', 'select a from t where b = ? and c = ?', 'delete from t'].map((sql) => ({ protocol: 'mysql', sql, answer })), judge, 0.7);
    assert.equal(some.find('delete from t')?.sql, 'delete from t');
    assert.equal(some.find('select a, d from t where b = ? and c = ?')?.sql, 'select a from t where b = ? and c = ?');
    assert.equal(some.find('update t set a = ?'), undefined);
  });

  it('counts parameters outside of quotes and comments', () => {
    assert.deepEqual(["select '?', ? /* ? */", 'select $2, $1', "select '$3'", 'select 1'].map(parametersIn), [1, 2, 0, 0]);
  });
});
