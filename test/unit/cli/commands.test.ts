import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, cpSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import * as layout from '../../../src/events/layout.ts';
import { FakeClock, put, removeTemporaryFolders, temporaryFolder, writer } from '../store/recordings.ts';
import { open, session, Streams } from '../store/traffic.ts';
import { jsonLines, koala } from './run.ts';

describe('reading commands', function () {
  this.timeout(300_000);
  let dir: string;
  before(() => {
    dir = join(temporaryFolder(), 'rec');
    const clock = new FakeClock();
    const to = writer(dir, clock);
    const streams = new Streams();
    for (let number = 0; number < 3; number++) session(to, streams, number, clock.monotonicNs + BigInt(number) * 2_000_000n, `/orders/${number}`, number === 1 ? 503 : 200);
    session(to, streams, 3, clock.monotonicNs + 10_000_000n, '/evil\x1b[2J');
    to.close();
  });
  after(removeTemporaryFolders);

  const keys = (value: unknown): string[] => Object.keys(value as object).sort();

  it('ls shows a line a session, by start, without colours in a pipe', () => {
    const { status, stdout, stderr } = koala(['ls', dir]);
    equal(status, 0, stderr);
    equal(stderr, '');
    const lines = stdout.split('\n');
    match(lines[0] ?? '', /^id +started +took +process +status +calls +state +summary$/);
    match(lines[2] ?? '', /^[0-9a-f]{12} {2}\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} .* web\[5\] .* 503 +~1 +complete +GET \/orders\/1$/);
    deepEqual(lines.slice(5, 7), ['~ before calls: some are only likely its own (koala-bpf explain says why)', '4 sessions']);
    ok(!stdout.includes('\x1b'));
    match(koala(['ls', dir, '--status', '5xx']).stdout, /\n1 of 4 sessions\n$/);
  });

  it('ls --json has the keys of the contract', () => {
    const rows = jsonLines(koala(['ls', dir, '--json']).stdout);
    equal(rows.length, 4);
    const [row] = rows;
    deepEqual(keys(row), [
      'certificate', 'durationMs', 'entry', 'format', 'id', 'inbound', 'names', 'outbound', 'process', 'prologues', 'startedAt', 'status', 'summary', 'ties',
    ]);
    equal(row?.['outbound'], 1);
    deepEqual(row?.['certificate'], { state: 'complete' });
    match(String(row?.['startedAt']), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  });

  it('show reads like a conversation, and --json has the keys of the contract', () => {
    const [row] = jsonLines(koala(['ls', dir, '--json', '--grep', 'orders/1']).stdout);
    const id = String(row?.['id']);
    const { stdout, status } = koala(['show', dir, id.slice(0, 8)]);
    equal(status, 0);
    const order = ['client -> web[5]', 'GET /orders/1', 'call 127.0.0.1:9000', 'GET /stock/1', 'likely by thread', 'stock of 1', 'web[5] -> client', 'order 1'];
    const places = order.map((text) => stdout.indexOf(text));
    ok(places.every((place, at) => place >= 0 && (at === 0 || place > (places[at - 1] ?? 0))), stdout);
    const [shown] = jsonLines(koala(['show', dir, id, '--json']).stdout);
    deepEqual(keys(shown), ['certificate', 'durationMs', 'entry', 'format', 'id', 'inbound', 'names', 'outbound', 'process', 'prologues', 'startedAt', 'ties']);
    deepEqual(keys((shown?.['outbound'] as object[])[0]), ['attribution', 'certainty', 'connection', 'end', 'request', 'response']);
    deepEqual(keys(shown?.['certificate']), ['lost', 'state', 'unseen']);
    deepEqual(jsonLines(koala(['export', dir, id, '--format', 'json']).stdout)[0], shown);
  });

  it('explain tells what speaks for and against each call, and --json has the keys of the contract', () => {
    const [row] = jsonLines(koala(['ls', dir, '--json', '--grep', 'orders/1']).stdout);
    const id = String(row?.['id']);
    const { stdout, stderr, status } = koala(['explain', dir, id.slice(0, 8)]);
    equal(status, 0, stderr);
    equal(stderr, '');
    const order = [
      `session ${id}  GET /orders/1  503`, 'call 127.0.0.1:9000  GET /stock/1  503  [+', 'tied by thread, likely',
      'for      thread 6 had read this session\'s request', 'against  too few requests overlapped', 'complete, because',
    ];
    const places = order.map((text) => stdout.indexOf(text));
    ok(places.every((place, at) => place >= 0 && (at === 0 || place > (places[at - 1] ?? 0))), stdout);
    ok(!stdout.includes('\x1b'));
    const explained = jsonLines(koala(['explain', dir, id, '--json']).stdout);
    equal(explained.length, 1);
    const [explanation] = explained;
    deepEqual(keys(explanation), ['calls', 'certificate', 'durationMs', 'format', 'id', 'inbound', 'process', 'startedAt', 'status', 'summary', 'untied']);
    const [call] = explanation?.['calls'] as Record<string, unknown>[];
    deepEqual(keys(call), ['against', 'alternatives', 'atUs', 'attribution', 'certainty', 'connection', 'for', 'status', 'summary']);
    deepEqual((call?.['against'] as { kind: string }[]).map(({ kind }) => kind), ['not-seen-enough']);
    deepEqual(keys(explanation?.['certificate']), ['reasons', 'state']);
    const [shown] = jsonLines(koala(['show', dir, id, '--json']).stdout);
    deepEqual(['id', 'startedAt', 'durationMs', 'process'].map((key) => explanation?.[key]), ['id', 'startedAt', 'durationMs', 'process'].map((key) => shown?.[key]));
    const evil = String(jsonLines(koala(['ls', dir, '--json']).stdout)[3]?.['id']);
    const harmless = koala(['explain', dir, evil]).stdout;
    match(harmless, /GET \/evil/);
    ok(!harmless.includes('\x1b'));
  });

  it('explain names the calls that no session has, and whose they may be', () => {
    const apart = join(temporaryFolder(), 'rec');
    const clock = new FakeClock();
    const to = writer(apart, clock);
    const streams = new Streams();
    const [at, said] = [clock.monotonicNs, 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx'];
    for (const number of [1, 2]) {
      open(to, number, 'inbound', at);
      streams.said(to, number, 'ingress', `GET /${number} HTTP/1.1\r\nhost: x\r\n\r\n`, at + BigInt(number) * 1_000n, 10 + number);
    }
    open(to, 3, 'outbound', at + 4_000n);
    streams.said(to, 3, 'egress', 'GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n', at + 5_000n, 20);
    streams.said(to, 3, 'ingress', said, at + 6_000n, 20);
    for (const number of [1, 2]) streams.said(to, number, 'egress', said, at + 7_000n, 10 + number);
    for (const number of [1, 2, 3]) streams.close(to, number, at + 8_000n);
    to.close();
    const [first, second] = jsonLines(koala(['ls', apart, '--json']).stdout).map((row) => String(row['id']));
    const { stdout, status, stderr } = koala(['explain', apart, String(first)]);
    equal(status, 0, stderr);
    ok(!koala(['ls', apart]).stdout.includes('~'), 'no call there is uncertain');
    const { stdout: shown } = koala(['show', apart, String(first)]);
    match(shown, /\n {2}0 calls; incomplete\n {2}! 1 call that its process made before it had answered is tied to no session, or to more than one: it may have been this one's\n/);
    match(stdout, /\n {2}no call is tied to it\n\n {2}1 call of its process is tied to no session, and may be its own\n\n {2}untied 127\.0\.0\.1:9000 {2}GET \/metrics {2}200 /);
    ok(stdout.includes(`\n    why      thread 20 had no request in hand\n    why      no rare words of it, or of its answer, stand in one session only that was open then\n    or of    ${second}  GET /2\n\n  incomplete, because\n    1 call that its process made`), stdout);
  });

  it('connections accounts for every byte', () => {
    const rows = jsonLines(koala(['connections', dir, '--json']).stdout);
    equal(rows.length, 8);
    deepEqual(keys(rows[0]), ['closedAt', 'command', 'egress', 'end', 'id', 'ingress', 'learnt', 'local', 'openedAt', 'remote', 'role', 'sessions', 'tgid']);
    deepEqual(keys(rows[0]?.['ingress']), ['bytes', 'from', 'gaps', 'sha256']);
    const { status, stdout } = koala(['connections', dir]);
    equal(status, 0);
    match(stdout, /\n8 connections\n$/);
  });

  it('events tells who woke whom, to who asks for the one or the other', () => {
    const woken = join(temporaryFolder(), 'woken');
    const clock = new FakeClock();
    const to = writer(woken, clock);
    put(to, { kind: layout.SAMPLE_WAKE, atNs: clock.monotonicNs, tgid: 5, tid: 6, position: 7n, length: 1_500_250n });
    to.close();
    for (const tid of [[], ['--tid', '6'], ['--tid', '7']]) {
      const [row, ...more] = jsonLines(koala(['events', woken, '--json', ...tid]).stdout);
      const { at, ...rest } = row ?? {};
      match(String(at), /^\d{4}-/);
      deepEqual([rest, more], [{ kind: 'wake', tgid: 5, tid: 6, woken: 7, waitedUs: 1_500.25 }, []]);
    }
    equal(koala(['events', woken, '--tid', '5']).stdout, '');
    match(koala(['events', woken]).stdout, /  tid 6  wakes tid 7, which waited 1\.5 ms\n$/);
  });

  it('events gives the payload as it came, and nothing raw to a terminal', () => {
    const rows = jsonLines(koala(['events', dir, '--json', '--tid', '6']).stdout);
    equal(rows.length, 16);
    deepEqual(keys(rows[0]), ['at', 'connection', 'direction', 'kind', 'length', 'position', 'text', 'tgid', 'tid']);
    equal(koala(['events', dir, '--json', '--tid', '7']).stdout, '');
    for (const command of [['events', dir], ['ls', dir], ['show', dir, String(jsonLines(koala(['ls', dir, '--json']).stdout)[3]?.['id'])]]) {
      const { stdout } = koala(command);
      if (command[0] !== 'ls') match(stdout, /evil\\x1b\[2J/, command[0]);
      ok(!stdout.includes('\x1b'), command[0]);
    }
  });

  it('export writes one indented file a session', () => {
    const out = join(temporaryFolder(), 'cases');
    const { status, stderr, stdout } = koala(['export', dir, '--format', 'json', '--out', out]);
    equal(status, 0, stderr);
    equal(stdout, '');
    const names = readdirSync(out);
    equal(names.length, 4);
    const text = readFileSync(join(out, names[0] ?? ''), 'utf8');
    equal(`${(JSON.parse(text) as { id: string }).id}.json`, names[0]);
    match(text, /^\{\n {2}"format"/);
    equal(koala(['export', dir, '--format', 'json', '--ambient']).status, 0);
  });

  it('export of ids takes the filters too, and a wrong id still writes nothing', () => {
    const rows = jsonLines(koala(['ls', dir, '--json']).stdout);
    const ids = rows.slice(0, 3).map(({ id }) => String(id));
    const exported = (...flags: string[]): unknown[] => jsonLines(koala(['export', dir, ...ids, '--format', 'json', ...flags]).stdout).map(({ id }) => id);
    deepEqual(exported(), ids);
    deepEqual(exported('--grep', 'orders/1'), [ids[1]]);
    deepEqual(exported('--status', '5xx'), [ids[1]]);
    equal(koala(['export', dir, ids[0] ?? '', 'ffffffffffff', '--format', 'json', '--grep', 'orders/1']).status, 2);
  });

  it('a reader that goes away ends the command quietly', () => {
    for (const command of ['events', 'ls']) {
      const line = `set -o pipefail; "${process.execPath}" --import tsx src/cli/main.ts ${command} "${dir}" | true`;
      const child = spawnSync('bash', ['-c', line], { encoding: 'utf8' });
      equal(child.stderr, '');
      equal(child.status, 0);
    }
  });

  it('bad input is one line that names the thing, and the right status', () => {
    const foreign = temporaryFolder();
    writeFileSync(join(foreign, 'notes.txt'), '');
    const empty = temporaryFolder();
    const newer = join(temporaryFolder(), 'rec');
    mkdirSync(newer);
    const bytes = readFileSync(join(dir, '00000001.koala'));
    bytes.writeUInt32LE(9, 8);
    bytes.writeUInt32LE(crc32(bytes.subarray(0, 36)), 36);
    writeFileSync(join(newer, '00000001.koala'), bytes);
    const cases: [string[], RegExp, Record<string, string>?][] = [
      [['ls', '/nonexistent'], /\/nonexistent: no such recording/],
      [['ls', foreign], /notes\.txt/],
      [['connections', empty], /is empty/],
      [['events', newer], /format 9.*newer koala-bpf/],
      [['show', dir, 'ffffffffffff'], /no session "ffffffffffff"/],
      [['explain', dir, 'ffffffffffff'], /no session "ffffffffffff"/],
      [['explain', '/nonexistent', 'ff'], /\/nonexistent: no such recording/],
      [['explain', dir], /Not enough|argument/],
      [['export', dir, 'ffffffffffff', '--format', 'json'], /no session "ffffffffffff"/],
      [['export', dir, '--format', 'docx'], /docx/],
      [['ls', dir, '--since', 'whenever'], /--since: "whenever"/],
      [['ls'], /Not enough|argument/],
      [['ls', dir, '--frob'], /frob/],
      [['frobnicate'], /frobnicate/],
      [['ls', dir, '--grep', 'a', '--grep', 'b'], /--grep is given 2 times/],
      [['ls', dir, '--status', '200', '--status', '204'], /--status is given 2 times/],
      [['ls', dir, '--since', ''], /--since is given without a value/],
      [['attach', '--all', '--out', 'a', '--out', 'b'], /--out is given 2 times/],
      [['attach', '--pid'], /pid/],
      [['attach', '--exe', ''], /--exe is given without a value/],
      [['attach', '--all', '--max-message', '0'], /--max-message 0/],
      [['export', dir, '--format', 'json', '--out', dir], /--out .* is a recording/],
      [[], /Name a command/],
      [['ls', dir], /KOALA_LOG_LEVEL: "LOUD"/, { KOALA_LOG_LEVEL: 'LOUD' }],
      [['ls', dir], /KOALA_GC_GLOBAL_STATUS_TIMEOUT: "5"/, { KOALA_GC_GLOBAL_STATUS_TIMEOUT: '5' }],
    ];
    for (const [args, says, environment] of cases) {
      const { status, stderr, stdout } = koala(args, environment);
      equal(status, 2, `${args.join(' ')}: ${stderr}`);
      match(stderr, says);
      match(stderr, /^koala-bpf: [^\n]*\n$/, args.join(' '));
      equal(stdout, '', args.join(' '));
    }
  });

  it('reads a recording that a person put a note beside, as it was', () => {
    const noted = join(temporaryFolder(), 'rec');
    cpSync(dir, noted, { recursive: true });
    writeFileSync(join(noted, 'notes.txt'), 'the bad night');
    for (const command of ['ls', 'events']) {
      const [beside, without] = [koala([command, noted]), koala([command, dir])];
      deepEqual([beside.status, beside.stdout, beside.stderr], [without.status, without.stdout, without.stderr]);
    }
  });

  it('says when nobody recorded, where a recording was continued', () => {
    const paused = join(temporaryFolder(), 'rec');
    const clock = new FakeClock();
    for (const path of ['/before', '/after']) {
      const to = writer(paused, clock);
      session(to, new Streams(), 0, clock.monotonicNs, path);
      clock.advance(60_000);
      to.close();
    }
    for (const command of ['ls', 'connections']) {
      match(koala([command, paused]).stderr, /^koala-bpf: nothing was recorded from [-\d]+ [:.\d]+ to [-\d]+ [:.\d]+: the recorder was not running\n$/);
    }
    equal(koala(['ls', dir]).stderr, '');
  });

  it('a stdout that takes nothing is the environment\'s refusal, in one line', () => {
    const full = openSync('/dev/full', 'w');
    for (const words of [['ls', dir], ['doctor', '--json']]) {
      const { status, stderr } = spawnSync(process.execPath, ['--import', 'tsx', 'src/cli/main.ts', ...words], { encoding: 'utf8', stdio: ['ignore', full, 'pipe'] });
      equal(status, 3, `${words.join(' ')}: ${stderr}`);
      match(stderr, /^koala-bpf: Cannot write to stdout: .*ENOSPC[^\n]*\n$/);
    }
    closeSync(full);
  });

  it('no line is wider than the terminal', () => {
    for (const [columns, command] of [[80, 'ls'], [120, 'ls'], [80, 'connections']] as const) {
      const line = `stty cols ${columns}; NO_COLOR=1 "${process.execPath}" --import tsx src/cli/main.ts ${command} "${dir}"`;
      const { stdout, stderr } = spawnSync('script', ['-qec', line, '/dev/null'], { encoding: 'utf8', input: '' });
      const lines = stdout.split('\r\n').map((one) => one.split('\x1b[2K').at(-1) ?? '').filter((one) => one !== '');
      ok(lines.length >= 6, `${stdout}${stderr}`);
      for (const one of lines) ok(one.length <= columns, `${columns}: ${one}`);
      if (command === 'ls') ok(lines.some((one) => one.includes('GET /orders/1')), stdout);
    }
  });

  it('a folder that can\'t be made is the environment\'s refusal, also where the kernel says that its parent is missing', () => {
    const { status, stderr } = koala(['export', dir, '--format', 'json', '--out', '/proc/no-such-folder']);
    equal(status, 3, stderr);
    match(stderr, /^koala-bpf: Cannot make the folder \/proc\/no-such-folder: [^\n]*\n$/);
  });

  it('keeps stdout to the data where a log on STDOUT was asked for', () => {
    const environment = { KOALA_LOG_FILE: 'STDOUT', KOALA_LOG_LEVEL: 'DEBUG' };
    for (const words of [['ls', dir, '--json'], ['export', dir, '--format', 'json']]) {
      const { stdout, stderr } = koala(words, environment);
      ok(jsonLines(stdout).every((line) => line['format'] === 'koala-bpf/session@1'), stdout);
      match(stderr, /"level":"DEBUG"/);
    }
    match(koala(['ls', dir], environment).stdout, /"level":"DEBUG"/);
  });

  it('--help names every flag and shows an example', () => {
    const { status, stdout } = koala(['ls', '--help']);
    equal(status, 0);
    for (const flag of ['--json', '--since', '--until', '--pid', '--grep', '--status', '--trace', '--incomplete', '--log-file', 'Examples']) ok(stdout.includes(flag), flag);
    match(koala(['attach', '--help']).stdout, /--pid N .*-- CMD/);
    equal(koala(['--version']).stdout, `${String((JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }).version)}\n`);
  });

  it('logs where KOALA_LOG_FILE says, for its owner only', () => {
    const file = join(temporaryFolder(), 'koala.log');
    equal(koala(['ls', dir], { KOALA_LOG_FILE: file, KOALA_LOG_LEVEL: 'DEBUG' }).status, 0);
    const [line] = jsonLines(readFileSync(file, 'utf8'));
    equal(line?.['level'], 'DEBUG');
    equal(line?.['command'], 'ls');
    match(koala(['ls', dir], { KOALA_LOG_LEVEL: 'debug' }).stderr, /"level":"DEBUG"/);
    const refused = koala(['ls', dir], { KOALA_LOG_FILE: join(file, 'koala.log') });
    equal(refused.status, 3);
    match(refused.stderr, /^koala-bpf: Cannot write the log .*koala\.log[^\n]*\n$/);
  });
});
