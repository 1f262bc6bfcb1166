/** Both ends of a connection of HTTP/2, recorded: each of its calls has the body that its client and its server know of. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { bytesOf, type TalkJson } from '../e2e/contract.ts';
import { connections, exported, Recorder, whyNotRecordable } from '../e2e/recorder.ts';
import { removeDir, temporaryDir } from '../e2e/services/daemon.ts';
import { skipIf } from '../skip.ts';

const program = fileURLToPath(new URL('programs/http2.mjs', import.meta.url));

interface Told { readonly path: string; readonly sent: string; readonly got: string }
type Fielded = TalkJson & { readonly fields?: { readonly request: readonly (readonly [string, string])[]; readonly response: readonly (readonly [string, string])[] } };

/** The DATA of one side, by this test's own reading of RFC 9113 §4.1: length 3, type 1, flags 1, stream 4. */
function bodyOf(frames: Buffer): string {
  const hash = createHash('sha256');
  for (let at = 0; at < frames.length; at += 9 + frames.readUIntBE(at, 3)) {
    if (frames[at + 3] === 0) hash.update(frames.subarray(at + 9, at + 9 + frames.readUIntBE(at, 3)));
  }
  return hash.digest('hex');
}

function toldBy(talk: TalkJson): Told {
  const { fields } = talk as Fielded;
  const path = fields?.request.find(([name]) => name === ':path')?.[1] ?? '';
  assert.equal(fields?.response.find(([name]) => name === 'x-path')?.[1], path, 'the answer is that of its request');
  return { path, sent: bodyOf(bytesOf(talk.request)), got: bodyOf(bytesOf(talk.response)) };
}

const line = async (child: ChildProcess): Promise<string> => {
  for await (const text of createInterface({ input: child.stdout! })) return text;
  throw new Error('it said nothing');
};

describe('a connection of HTTP/2', function () {
  this.timeout(180_000);
  const running: ChildProcess[] = [];
  const start = (...args: readonly string[]): ChildProcess => {
    const child = spawn(process.execPath, [program, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
    running.push(child);
    return child;
  };

  before(async function () {
    skipIf(this, await whyNotRecordable());
  });
  afterEach(() => { for (const child of running.splice(0)) child.kill('SIGKILL'); });

  it('is, on both ends, each of its calls by itself, with its own bytes, and every byte of it is accounted for', async () => {
    const dir = temporaryDir('http2');
    const server = start('server');
    const port = await line(server);
    const client = start('client', port);
    const recorder = await Recorder.attach([server.pid!, client.pid!], join(dir, 'rec'));
    try {
      const ended = once(client, 'exit');
      const said = line(client);
      client.stdin!.end('go\n');
      const told = JSON.parse(await said) as Told[];
      await ended;
      const { lost } = await recorder.stop();
      assert.deepEqual(lost, { bytes: 0, byCause: {} });
      const { sessions, ambient } = await exported(join(dir, 'rec'));
      const byPath = (one: readonly Told[]): Told[] => [...one].sort((a, b) => a.path.localeCompare(b.path));
      assert.deepEqual(byPath(sessions.map(({ inbound }) => toldBy(inbound))), byPath(told), 'as the server was asked');
      assert.deepEqual(byPath(ambient.map(toldBy)), byPath(told), 'as the client asked');
      assert.deepEqual(sessions.filter(({ certificate }) => certificate.state !== 'complete').map(({ certificate }) => certificate), []);
      const [one, other] = await connections(join(dir, 'rec'));
      assert.deepEqual([one?.ingress.sha256, one?.egress.sha256], [other?.egress.sha256, other?.ingress.sha256]);
    } finally {
      recorder.kill();
      removeDir(dir);
    }
  });
});
