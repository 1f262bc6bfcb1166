/** What a real service writes to its log, and sends by UDP, while it works for its requests. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { readdirSync, readFileSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'lossless-json';
import type { AppendedFileJson, SessionJson } from '../../src/sessions/json.ts';
import { recordRequests } from './recorded-requests.ts';
import { exported, koala, koalaOk, whyNotRecordable } from './recorder.ts';
import { accepts, Daemon, freePort, removeDir, temporaryDir } from './services/daemon.ts';
import { skipIf } from '../skip.ts';

/** Python's own logging, to a file opened for appending; a datagram for each request; a line by a thread of the request's own. */
const SERVICE = `
import logging, os, socket, threading
statsd = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
log = logging.getLogger('app'); log.setLevel(logging.INFO); log.addHandler(logging.FileHandler(os.environ['LOG']))
def app(environ, start_response):
  rid = environ['PATH_INFO'][1:]
  log.info('begin %s', rid)
  statsd.sendto(b'requests.%s:1|c' % rid.encode(), ('127.0.0.1', int(os.environ['STATSD'])))
  helper = threading.Thread(target=log.info, args=('helper %s', rid)); helper.start(); helper.join()
  log.info('end %s \\u00e9', rid)
  start_response('200 OK', [('Content-Length', '2')])
  return [b'ok']
`;
const COUNT = 40;
/** statfs(2): file systems that tell the `tracepoint` backend of writes. */
const TELLING: ReadonlySet<number> = new Set([0xef53, 0x58465342]);

interface Action {
  readonly ActionType: string;
  readonly FileName?: string;
  readonly Content?: string;
}

describe('appends of a real service', function () {
  this.timeout(180_000);
  const folder = temporaryDir('appends');
  const dir = join(folder, 'rec');
  const log = join(folder, 'app.log');
  let sessions: (SessionJson & { appends?: AppendedFileJson[] })[] = [];

  before(async function () {
    skipIf(this, await whyNotRecordable() ?? (TELLING.has(statfsSync(folder).type) ? undefined : 'temporary files are neither on ext4 nor on XFS'));
    writeFileSync(join(folder, 'logs.py'), SERVICE);
    const statsd = createSocket('udp4');
    await new Promise<void>((resolve) => { statsd.bind(0, '127.0.0.1', resolve); });
    const port = await freePort();
    const service = await Daemon.start({
      name: 'gunicorn', command: '/usr/bin/python3', dir: folder, ready: () => accepts(port), env: { LOG: log, STATSD: String(statsd.address().port), PYTHONDONTWRITEBYTECODE: '1' },
      args: ['/usr/bin/gunicorn', '--chdir', folder, '-k', 'gthread', '-w', '1', '--threads', '8', '-b', `127.0.0.1:${port}`, '--worker-tmp-dir', folder, 'logs:app'],
    });
    try {
      await recordRequests(service, port, dir, COUNT);
    } finally {
      statsd.close();
    }
    ({ sessions } = await exported(dir) as unknown as { sessions: typeof sessions });
  });
  after(() => removeDir(folder));

  const ridOf = ({ inbound }: SessionJson): string => /\/(\S+)/.exec((inbound.request[0] as { text: string }).text)?.[1] ?? '';
  const linesOf = (session: (typeof sessions)[number]): string[] => (session.appends ?? []).filter(({ file }) => file === log).flatMap(({ writes }) => writes.map((write) => ('text' in write ? write.text : '')));

  it('are each in the session of the request that they were written for, and all that the log holds', () => {
    assert.equal(sessions.length, COUNT);
    for (const session of sessions) {
      const rid = ridOf(session);
      assert.deepEqual(linesOf(session), [`begin ${rid}\n`, `helper ${rid}\n`, `end ${rid} é\n`]);
      assert.deepEqual(session.appends?.map(({ writes }) => writes.map(({ attribution }) => attribution)), [['thread', 'born', 'thread']]);
    }
    assert.deepEqual(sessions.flatMap(linesOf).sort(), readFileSync(log, 'utf8').trimEnd().split('\n').map((line) => `${line}\n`).sort());
  });

  it('are shown beside what was sent by UDP, with who wrote them', async () => {
    const session = sessions[0]!;
    const rid = ridOf(session);
    const shown = (await koalaOk(['show', dir, session.id])).join('\n');
    assert.match(shown, new RegExp(`append ${log} .*\\n {4}begin ${rid}\\n`));
    assert.match(shown, new RegExp(`datagram 127\\.0\\.0\\.1:\\d+ .*\\n {4}requests\\.${rid}:1\\|c\\n`));
    assert.match(shown, /worked on by\n {4}tid \d+ +read the request, sent 1 datagram, appended 2 times, answered\n {4}tid \d+ +by born +appended 1 time\n/);
  });

  it('are in koala\'s format, merged by file, beside SendUDP and the answer', async () => {
    const out = join(folder, 'koala');
    await koalaOk(['export', dir, '--format', 'koala', '--out', out]);
    assert.deepEqual(readdirSync(out).sort(), sessions.map(({ id }) => `${id}.json`).sort());
    for (const session of sessions) {
      const rid = ridOf(session);
      const { Actions: actions } = parse(readFileSync(join(out, `${session.id}.json`), 'utf8')) as { Actions: Action[] };
      assert.deepEqual(actions.map(({ ActionType }) => ActionType), ['AppendFile', 'SendUDP', 'ReturnInbound']);
      assert.deepEqual([actions[0]?.FileName, actions[0]?.Content, actions[1]?.Content], [log, `begin ${rid}\nhelper ${rid}\nend ${rid} é\n`, `requests.${rid}:1|c`]);
    }
    const lines = await koalaOk(['export', dir, sessions[0]!.id, '--format', 'koala']);
    assert.equal(lines.length, 1);
    const wrong = await koala(['export', dir, '--format', 'kaola']);
    assert.deepEqual([wrong.exit, /json.*koala/s.test(wrong.stderr)], [2, true], wrong.stderr);
  });
});
