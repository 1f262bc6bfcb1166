/** Whose calls those of a Java program are, by the virtual threads that the kernel side reads, held against what the program says (programs/java). */
import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import type { AddressInfo } from 'node:net';
import { ProcessMemory } from '../../src/kernel/java/memory.ts';
import { mayRunVirtual, virtualThreadsOf } from '../../src/kernel/java/virtual-threads.ts';
import { whyNotRecordable } from '../e2e/recorder.ts';
import { skipIf } from '../skip.ts';
import { ALL, commandOf, found, structsOf } from './java-requests.ts';
import { until } from './subject.ts';

/** What is read of a JVM's own structures. */
function sightOf({ pid = 0 }: ChildProcess): ReturnType<typeof virtualThreadsOf> | 'too-old' | undefined {
  const structs = structsOf(pid);
  if (structs === undefined) return undefined;
  return ProcessMemory.read(pid, (memory) => mayRunVirtual(structs) ? virtualThreadsOf(memory, structs) : 'too-old');
}

/** Small, so that it is collected often. */
const HEAP = '-Xmx64m';

describe('virtual threads of Java programs', function () {
  this.timeout(240_000);

  for (const [release, options] of [[21, ['-XX:+UseG1GC', '-XX:-UseCompressedClassPointers']], [25, ['-XX:+UseZGC']]] as const) {
    it(`tell whose each call is, of 16 requests at a time whose calls and answers say nothing of it, while objects are moved (JDK ${release}, ${options.join(' ')})`, async function () {
      skipIf(this, await whyNotRecordable());
      assert.deepEqual(found([...commandOf(this, release, HEAP, ...options), 'litter']), ALL);
    });
  }

  for (const [release, options] of [[21, ['-XX:+UseSerialGC', '-XX:-UseCompressedOops']], [25, ['-XX:+UseG1GC']]] as const) {
    it(`that another has begun tell whose each call is, where that one waits for them (JDK ${release}, ${options.join(' ')})`, async function () {
      skipIf(this, await whyNotRecordable());
      const { nearlyAll, ...rest } = found([...commandOf(this, release, HEAP, ...options), 'begun']) as typeof ALL;
      const { nearlyAll: _, ...wanted } = ALL;
      assert.deepEqual(rest, wanted, `nearly all: ${nearlyAll}`);
    });
  }

  describe('are looked for in a JVM', () => {
    let upstream: Server;
    const children: ChildProcess[] = [];
    const begin = ([command = '', ...args]: readonly string[]): ChildProcess => {
      const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
      children.push(child);
      return child;
    };

    before(async () => {
      upstream = createServer(() => undefined).listen(0, '127.0.0.1');
      await once(upstream, 'listening');
    });
    afterEach(() => { for (const child of children.splice(0)) child.kill('SIGKILL'); });
    after(() => { upstream.close(); });

    const port = (): string => String((upstream.address() as AddressInfo).port);
    const seen = async (java: ChildProcess): Promise<ReturnType<typeof sightOf>> => {
      await once(java.stdout!, 'data');
      let sight: ReturnType<typeof sightOf>;
      await until(() => { sight = sightOf(java); return sight !== undefined && sight !== 'unlike'; }, 'a JVM');
      return sight;
    };

    it('that has begun one, by the objects of its own threads, or, since JDK 24, by what each of these says', async function () {
      const [older, newer] = [await seen(begin([...commandOf(this, 21), port()])), await seen(begin([...commandOf(this, 25), port()]))];
      assert.deepEqual(Object.keys((older as { readonly carried: object }).carried).includes('collecting'), true, String(older));
      assert.deepEqual(Object.keys((newer as { readonly carried: object }).carried), ['own'], String(newer));
    });

    it('that moves objects at any time by pointers of which it says whether they are true, also before ZGC has generations', async function () {
      const [plain, generational] = [['-XX:+UseZGC'], ['-XX:+UseZGC', '-XX:+ZGenerational']].map((options) => begin([...commandOf(this, 21, ...options), port()]));
      const [one, other] = [await seen(plain!), await seen(generational!)] as unknown as readonly { readonly carried: { readonly stale: number; readonly coloured: number } }[];
      assert.notEqual(one?.carried.stale, 0);
      assert.equal(one?.carried.coloured, one?.carried.stale);
      assert.notEqual(other?.carried.stale, 0);
      assert.notEqual(other?.carried.coloured, other?.carried.stale);
    });

    it('in none that has begun none, or that has none', async function () {
      assert.equal(await seen(begin([...commandOf(this, 21), 'idle'])), 'unused');
      const java = begin(['java', ...commandOf(this, 21).slice(1), 'idle']);
      const sight = await seen(java);
      const { stderr } = spawnSync('java', ['-version'], { encoding: 'utf8' });
      assert.equal(sight, /version "1[78]\b/.test(stderr) ? 'too-old' : 'unused', stderr);
    });
  });
});
