import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { compareTalk, equalByProtocol, similarity } from '../../../src/compare/index.ts';
import { readDialogues, unescape } from '../../conversations/dialogue.ts';

const NOTHING = new Uint8Array(0);
const differences = (protocol: string, recorded: string, live: string): string[] => compareTalk(
  { request: unescape(recorded), response: NOTHING }, { request: unescape(live), response: NOTHING }, protocol).differences.map(({ path, kind }) => `${kind} ${path}`);
const answers = (protocol: string, recorded: string, live: string): string[] => compareTalk(
  { request: NOTHING, response: unescape(recorded) }, { request: NOTHING, response: unescape(live) }, protocol).differences.map(({ path, kind }) => `${kind} ${path}`);

describe('Redis compared', () => {
  it('an argument, at its place', () => assert.deepEqual(differences('redis', '{resp SET user:7 bob}', '{resp SET user:7 eve}'), ['changed request.args[2]']));
  it('a command\'s case and the inline form are nothing, a key\'s case is something', () => {
    assert.deepEqual(differences('redis', '{resp GET a}', 'get a\\r\\n'), []);
    assert.deepEqual(differences('redis', '{resp GET a}', '{resp GET A}'), ['changed request.args[1]']);
  });
  it('arguments and commands added and dropped', () => {
    assert.deepEqual(differences('redis', '{resp SET a 1 EX 5}', '{resp SET a 1}'), ['removed request.args[3]', 'removed request.args[4]']);
    assert.deepEqual(differences('redis', '{resp GET a}{resp GET b}', '{resp GET a}'), ['removed request.commands[1]']);
  });
  it('JSON in a value says what differs in it; the same value written otherwise is still other bytes', () => {
    assert.deepEqual(differences('redis', '{resp SET a \\{"x":1,"y":2\\}}', '{resp SET a \\{"x":1,"y":3\\}}'), ['changed request.args[2].$.y']);
    assert.deepEqual(differences('redis', '{resp SET a \\{"x":1,"y":2\\}}', '{resp SET a \\{"y":2,"x":1\\}}'), ['changed request.args[2]']);
  });
  it('replies by value and type', () => {
    assert.deepEqual(answers('redis', '*2\\r\\n$1\\r\\na\\r\\n:1\\r\\n', '*2\\r\\n$1\\r\\nb\\r\\n$1\\r\\n1\\r\\n'), ['changed response.reply[0]', 'type response.reply[1]']);
    assert.deepEqual(answers('redis', '+OK\\r\\n', '$2\\r\\nOK\\r\\n'), ['type response.reply']);
    assert.deepEqual(answers('redis', '+OK\\r\\n', '-ERR no\\r\\n'), ['removed response.reply.status', 'added response.reply.error']);
  });
  it('what is cut off is compared as bytes', () => assert.deepEqual(answers('redis', '$5\\r\\nalice\\r\\n', '$5\\r\\nalice'), ['bytes response']));
});

describe('PostgreSQL compared', () => {
  const call = (name: string, text: string, value: string): string => `{pg P ${name}\\0${text}\\0\\0\\0}{pg B \\0${name}\\0\\0\\0\\0\\x01{i32 ${value.length}}${value}\\0\\0}{pg E \\0{i32 0}}{pg S }`;
  it('statement text and parameters, each at its place', () => {
    assert.deepEqual(differences('postgresql', '{pg Q SELECT 1\\0}', '{pg Q SELECT 2\\0}'), ['changed request.statement']);
    assert.deepEqual(differences('postgresql', call('', 'SELECT $1', '7'), call('', 'SELECT $1', '8')), ['changed request.parameters[0]']);
  });
  it('a name that the client made up is nothing where its text is there, and everything where it is not', () => {
    assert.deepEqual(differences('postgresql', call('s1', 'SELECT $1', '7'), call('s2', 'SELECT $1', '7')), []);
    const bind = (name: string): string => `{pg B \\0${name}\\0\\0\\0\\0\\0\\0\\0}{pg E \\0{i32 0}}{pg S }`;
    assert.deepEqual(differences('postgresql', bind('s1'), bind('s2')), ['changed request.prepared']);
  });
  it('one more message asks for another answer', () => {
    assert.ok(differences('postgresql', '{pg B \\0s1\\0\\0\\0\\0\\0\\0\\0}{pg E \\0{i32 0}}{pg S }', '{pg B \\0s1\\0\\0\\0\\0\\0\\0\\0}{pg D P\\0}{pg E \\0{i32 0}}{pg S }').includes('changed request.messages'));
  });
  it('text asked for in binary is another answer', () => {
    const bind = (format: number): string => `{pg B \\0s1\\0\\0\\0\\0\\0\\0\\x01\\0\\x0${format}}{pg E \\0{i32 0}}{pg S }`;
    assert.deepEqual(differences('postgresql', bind(0), bind(1)), ['changed request.resultFormats[0]']);
  });
  it('a login is signed anew: noise', () => {
    const comparison = compareTalk({ request: unescape('{pg p c=biws,r=a}'), response: NOTHING }, { request: unescape('{pg p c=biws,r=b}'), response: NOTHING }, 'postgresql');
    assert.equal(comparison.verdict, 'same');
    assert.equal(comparison.ignored, 1);
  });
  it('rows by column, errors by field', () => {
    const rows = (value: string): string => `{pg T \\0\\x01id\\0{i32 0}{i16 0}{i32 23}{i16 4}{i32 0}{i16 0}}{pg D \\0\\x01{i32 1}${value}}{pg C SELECT 1\\0}{pg Z I}`;
    assert.deepEqual(answers('postgresql', rows('7'), rows('8')), ['changed response.rows[0].id']);
    assert.deepEqual(answers('postgresql', '{pg E SERROR\\0C42P01\\0Mx\\0L10\\0\\0}{pg Z I}', '{pg E SERROR\\0C42703\\0Mx\\0L11\\0\\0}{pg Z I}'), ['changed response.errors[0].C']);
  });
});

describe('MySQL compared', () => {
  it('statement text, commands, execute parameters', () => {
    assert.deepEqual(differences('mysql', '{my 0 \\x03SELECT 1}', '{my 0 \\x03SELECT 2}'), ['changed request.statement']);
    assert.deepEqual(differences('mysql', '{my 0 \\x0e}', '{my 0 \\x01}'), ['changed request.command']);
    const execution = (values: string): string => `{my 0 \\x16SELECT ?, ?, ?}{my 0 \\x17\\0\\0\\0\\0\\0\\x01\\0\\0\\0\\x04\\x01\\x08\\0\\xfd\\0\\x06\\0${values}}`;
    assert.deepEqual(differences('mysql', execution('\\x07\\0\\0\\0\\0\\0\\0\\0\\x02ab'), execution('\\x07\\0\\0\\0\\0\\0\\0\\0\\x02ac')), ['changed request.parameters[1]'], 'prepared and executed in one');
    assert.deepEqual(differences('mysql', '{my 0 \\x17\\x01\\0\\0\\0\\0\\x01\\0\\0\\0\\x01}', '{my 0 \\x17\\x01\\0\\0\\0\\0\\x01\\0\\0\\0\\x02}'), ['changed request.parameters']);
  });
  it('rows and errors', () => {
    assert.deepEqual(answers('mysql', '{my 1 \\x01}{my 2 {lv 7}}', '{my 1 \\x01}{my 2 {lv 8}}'), ['changed response.packets[1][0]']);
    assert.deepEqual(answers('mysql', '{my 1 \\xff\\x15\\x04#28000no}', '{my 1 \\xff\\x16\\x04#28000no}'), ['changed response.error']);
  });
});

describe('FastCGI compared', () => {
  const request = (uri: string, port: string, body: string): string => `{fcgi 1 1 \\0\\x01\\0\\0\\0\\0\\0\\0}{fcgi 4 1 {kv REQUEST_URI ${uri}}{kv REMOTE_PORT ${port}}{kv CONTENT_TYPE application/json}}{fcgi 4 1 }{fcgi 5 1 ${body}}{fcgi 5 1 }`;
  it('parameters and body; the client\'s port is noise', () => {
    assert.deepEqual(differences('fastcgi', request('/a', '1', '\\{"a":1\\}'), request('/b', '2', '\\{"a":2\\}')), ['changed request.params.REQUEST_URI', 'changed request.body.$.a']);
  });
  it('the answer is read as the document it carries, however its records are cut', () => {
    const end = '{fcgi 3 1 \\0\\0\\0\\0\\0\\0\\0\\0}';
    assert.deepEqual(answers('fastcgi', `{fcgi 6 1 Status: 404 x\\r\\nX-A: 1\\r\\n\\r\\nhello}${end}`, `{fcgi 6 1 Status: 404 x\\r\\n}{fcgi 6 1 X-A: 1\\r\\n\\r\\nhello}${end}`), []);
    assert.deepEqual(answers('fastcgi', `{fcgi 6 1 X-A: 1\\r\\n\\r\\nhello}${end}`, `{fcgi 6 1 Status: 500 x\\r\\nX-A: 1\\r\\n\\r\\nhullo}${end}`),
      ['changed response.status', 'changed response.body.lines[0]']);
  });
});

describe('what no protocol reads', () => {
  it('unknown bytes are compared as bytes, by unknown and by any name that is not ours', () => {
    for (const protocol of ['unknown', 'tls', 'gopher', '__proto__', 'constructor']) assert.deepEqual(differences(protocol, 'abc', 'abd'), ['bytes request']);
  });
});

describe('nothing is silently the same', () => {
  it('a letter or digit changed anywhere in any dialogue is a difference or noise, but for what means nothing', () => {
    // Reason phrases, chunk extensions and RESP3 attributes: nobody acts on them.
    const meansNothing = (protocol: string, whole: string, at: number): boolean =>
      (protocol === 'http' && (/^HTTP\/1\.\d \d{3} .*$/.test(whole.slice(0, at + 1)) || /\r\n[0-9A-F]+ ?;[^\r]*$/i.test(whole.slice(0, at + 1))))
      || (protocol === 'fastcgi' && /Status: \d{3} .*$/.test(whole.slice(0, at + 1)))
      || (protocol === 'redis' && /\|1\r\n\+?[a-z]*(\r\n:\d*)?$/.test(whole.slice(0, at + 1)));
    const folder = new URL('../../conversations/', import.meta.url);
    let flipped = 0;
    for (const file of readdirSync(folder).filter((name) => name.endsWith('.md'))) {
      for (const dialogue of readDialogues(file, readFileSync(new URL(file, folder), 'utf8'))) {
        const stream = (side: string): Buffer => Buffer.concat(dialogue.steps.map((step) => (step.side === side && step.kind === 'bytes' ? step.bytes : NOTHING)));
        if (dialogue.steps.some(({ kind }) => kind === 'gap')) continue;
        const of = (side: string, role: string): Uint8Array[] => dialogue.expected.frames.filter((frame) => frame.side === side && frame.role === role).map(({ start, end }) => stream(side).subarray(start, end));
        const all = { request: of('client', 'request'), response: of('server', 'response') };
        for (const [at, request] of all.request.entries()) {
          const talk = { request, response: all.response[at] ?? NOTHING };
          for (const part of ['request', 'response'] as const) {
            const text = Buffer.from(talk[part]).toString('latin1');
            for (let byte = 0; byte < text.length; byte++) {
              if (!/[A-Za-z0-9]/.test(text[byte]!) || meansNothing(dialogue.protocol, text, byte)) continue;
              const changed = new Uint8Array(talk[part]);
              changed[byte]! ^= 1;
              const comparison = compareTalk(talk, { ...talk, [part]: changed }, dialogue.protocol);
              flipped++;
              assert.ok(comparison.verdict === 'different' || comparison.ignored > 0, `${file}: ${dialogue.title}: ${part} ${JSON.stringify(text.slice(0, byte))}`);
            }
          }
        }
      }
    }
    assert.ok(flipped > 4000, `only ${flipped} bytes were changed`);
  });
  it('comparing a thing with itself is always the same', () => {
    for (const protocol of ['http', 'redis', 'postgresql', 'mysql', 'fastcgi', 'unknown']) {
      assert.ok(equalByProtocol(Uint8Array.of(0, 255, 1), Uint8Array.of(0, 255, 1), protocol));
    }
  });
});

describe('similarity', () => {
  const of = (a: string, b: string): number => similarity(Buffer.from(a), Buffer.from(b));
  const request = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: prices.internal:8080\r\nUser-Agent: python-requests/2.31\r\nAccept: */*\r\n\r\n`;
  it('is 1 for equal bytes only, 0 for nothing in common, and the same both ways', () => {
    assert.equal(of('abc', 'abc'), 1);
    assert.equal(of('', ''), 1);
    assert.equal(of('', 'abc'), 0);
    assert.equal(of('aaaaaaaa', 'bbbbbbbb'), 0);
    assert.ok(of(request('/a'), request('/b')) < 1);
    assert.equal(of(request('/a'), request('/prices/7')), of(request('/prices/7'), request('/a')));
  });
  it('finds the nearer path among requests whose headers are all alike', () => {
    const live = request('/prices/7?currency=EUR');
    const ranked = ['/health', '/prices/7?currency=USD', '/orders/12'].sort((a, b) => of(live, request(b)) - of(live, request(a)));
    assert.equal(ranked[0], '/prices/7?currency=USD');
  });
  it('stays cheap on long requests', () => {
    const [a, b] = [Buffer.alloc(8 << 20, 'abcdefg'), Buffer.alloc(8 << 20, 'abcdefgh')];
    const began = process.hrtime.bigint();
    for (let i = 0; i < 100; i++) similarity(a, b);
    assert.ok(Number(process.hrtime.bigint() - began) / 1e6 < 2000);
  });
});
