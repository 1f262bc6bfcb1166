/** Clients of koala's helper protocol, one in C and one in Python, that do the same: what is recorded of whom their threads say they work for. */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytesOf, type AmbientJson, type SessionJson } from '../e2e/contract.ts';
import { exported } from '../e2e/recorder.ts';
import { Clients } from '../e2e/services/client.ts';
import { compiled, project } from './compiled.ts';
import { patience, startRecorder, whyNoRecorder } from './recorder.ts';
import { python } from './subject.ts';
import { startTold, type ToldProgram } from './told-program.ts';
import { skipIf } from '../skip.ts';

const PROGRAMS = join(project, 'test/native/programs');
/** As they have it. */
const TEAMS = 4;
const ROUNDS = 4;
const DATAGRAM_BYTES = 65_507;
const KINDS = ['chain', 'cycle', 'name', 'unknown', 'garbage', 'words', 'exclude', 'flood'] as const;
type Kind = (typeof KINDS)[number];

const CLIENTS: Readonly<Record<string, () => readonly [string, ...string[]]>> = {
  C: () => {
    const source = join(PROGRAMS, 'delegation.c');
    return [compiled('delegation', [source, join(PROGRAMS, 'koala.h')], [source], '-pthread')];
  },
  Python: () => [python, '-B', join(PROGRAMS, 'delegation.py')],
};

interface Call {
  readonly attribution: string;
  readonly certainty: string;
}

for (const [language, built] of Object.entries(CLIENTS)) {
  describe(`threads that say in koala's words whom they work for, by a client in ${language}`, function () {
    this.timeout(240_000 * patience);
    let folder: string;
    let upstream: Server;
    let program: ToldProgram | undefined;
    let lost: unknown;
    let sessions: readonly SessionJson[];
    let ambient: readonly AmbientJson[];
    const ids = KINDS.flatMap((kind) => Array.from({ length: kind === 'flood' ? 1 : ROUNDS }, (_, n) => ({ kind, rid: `${kind}${n}x` })));

    before(async function () {
      skipIf(this, whyNoRecorder());
      folder = mkdtempSync(join(tmpdir(), 'koala-delegation-'));
      // Slow enough that the teams are at work side by side.
      upstream = createServer((request, response) => setTimeout(() => response.end(`for ${request.headers['x-rid']}`), 5));
      await new Promise<void>((resolve) => { upstream.listen(0, '127.0.0.1', resolve); });
      const [command, ...args] = built();
      program = await startTold(command, [...args, String((upstream.address() as AddressInfo).port)], ({ port }) => typeof port === 'number');
      const port = program.lines.all.find((line) => typeof line['port'] === 'number')!['port'] as number;
      const recorder = await startRecorder(join(folder, 'rec'), ['--pid', String(program.pid)]);
      const clients = new Clients(port, TEAMS, { keepAlive: false });
      const exchanges = await clients.send(ids.map(({ kind, rid }) => ({ rid, target: `/${kind}/${rid}` })));
      clients.close();
      assert.deepEqual(exchanges.filter(({ status, body, rid }) => status !== 200 || body.toString() !== rid), []);
      lost = (await recorder.stop()).summary?.lost;
      ({ sessions, ambient } = await exported(join(folder, 'rec')));
    });
    after(() => {
      program?.end();
      upstream?.closeAllConnections();
      upstream?.close();
      if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
    });

    const of = (kind: Kind): readonly SessionJson[] => {
      const found = sessions.filter(({ inbound }) => bytesOf(inbound.request).toString('latin1').startsWith(`GET /${kind}/`));
      assert.equal(found.length, ids.filter((one) => one.kind === kind).length, kind);
      return found;
    };
    const ridOf = (chunks: SessionJson['inbound']['request']): string => /(?:GET \/[a-z]+\/|X-Rid: )([a-z]+\d+x)/.exec(bytesOf(chunks).toString('latin1'))?.[1] ?? 'none';
    /** Each session has the one call that was made for it; returns how they were tied. */
    const calls = (kind: Kind): readonly Call[] => of(kind).flatMap(({ inbound, outbound }) => {
      assert.deepEqual(outbound.map(({ request }) => ridOf(request)), [ridOf(inbound.request)], kind);
      return outbound.map(({ attribution, certainty }) => ({ attribution, certainty }));
    });
    const all = (kind: Kind, one: Call): void => { assert.deepEqual(calls(kind), Array.from({ length: ids.filter((each) => each.kind === kind).length }, () => one)); };

    it('lose nothing by it', () => {
      assert.deepEqual(lost, { bytes: 0, byCause: {} });
      assert.equal(sessions.length, ids.length);
    });

    it('are proven to work for the thread at the end of a chain of three', () => { all('chain', { attribution: 'delegation', certainty: 'proven' }); });

    it('keep to what they said before where a chain would end where it begins, which is counted', () => {
      all('cycle', { attribution: 'delegation', certainty: 'proven' });
      for (const { certificate } of of('cycle')) assert.ok((certificate.unseen.find(({ kind, detail }) => kind === 'helper' && detail?.includes('cycle'))?.count ?? 0) >= 2, JSON.stringify(certificate));
    });

    it('work for the request that was given a name, which is likely', () => { all('name', { attribution: 'helper', certainty: 'likely' }); });

    it('work on where they speak of an unknown id, or say garbage, and each is counted with its reason', () => {
      for (const [kind, reasons, count] of [['unknown', ['unknown-id'], 1], ['garbage', ['garbage', 'unknown-command', 'bad-id', 'bad-body'], 7]] as const) {
        assert.deepEqual(new Set(calls(kind).map(({ attribution }) => attribution)), new Set(['thread']), kind);
        for (const { certificate } of of(kind)) {
          const unseen = certificate.unseen.find((one) => one.kind === 'helper');
          assert.ok((unseen?.count ?? 0) >= count, JSON.stringify(certificate));
          for (const reason of reasons) assert.ok(unseen?.detail?.includes(reason), `${reason}: ${unseen?.detail}`);
          assert.equal(certificate.state, 'incomplete');
        }
      }
    });

    it('have their words in the session, in order, up to a datagram of 64 KiB, and its trace header', () => {
      for (const session of of('words')) {
        const told = session.told?.map(({ command, text, base64 }) => [command, text ?? Buffer.from(base64 ?? '', 'base64').toString('latin1')] as const) ?? [];
        assert.deepEqual(told.slice(0, 3), [
          ['read-storage', 'user:7=koala\0bear'],
          ['call-function', '{"ActionId":1,"CallIntoFile":"shop.c","CallIntoLine":7,"FuncName":"price","Args":[]}'],
          ['return-function', '{"CallFunctionId":1,"ReturnValue":9}'],
        ]);
        assert.deepEqual(told.slice(3).map(([command, text]) => [command, text.length, /^k+$/.test(text)]), [['read-storage', DATAGRAM_BYTES - 'to-koala!read-storage\n'.length, true]]);
        assert.deepEqual((session as { traceHeader?: object }).traceHeader, { ti: 'abc' });
      }
    });

    it('that are excluded have their calls in no session', () => {
      for (const { outbound } of of('exclude')) assert.deepEqual(outbound, []);
      const left = ambient.map(({ request }) => ridOf(request)).sort();
      assert.deepEqual(left, ids.filter(({ kind }) => kind === 'exclude').map(({ rid }) => rid).sort());
    });

    it('are proven to work for whom they said 20000 times', () => { all('flood', { attribution: 'delegation', certainty: 'proven' }); });
  });
}
