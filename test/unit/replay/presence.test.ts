import assert from 'node:assert/strict';
import { EnvironmentError } from '../../../src/errors.ts';
import type { Confinement, Ended } from '../../../src/replay/confine.ts';
import { Presence } from '../../../src/replay/presence.ts';

const sut = { host: '127.0.0.1', port: 8080 };
const never = new Promise<Ended>(() => undefined);

function presence(listening: () => boolean, ended: Promise<Ended> = never): Presence {
  return new Presence({ pid: 1, ipv6: true, ended, start: () => undefined, stop: () => Promise.resolve(), listening } satisfies Confinement);
}

const start = { command: ['service'], startupMs: 50, signal: new AbortController().signal };
const idle = [{ destination: '10.0.0.5:5432', summary: 'SELECT 1', answered: false }, { destination: '10.0.0.5:5432', summary: 'SELECT 2', answered: true }];

describe('the presence of the service', () => {
  it('is waited for, and where it never listens it is said what it had asked in vain', async () => {
    let looks = 0;
    await presence(() => (looks += 1) > 2).untilListening(sut, { ...start, startupMs: 60_000 }, () => Promise.resolve(idle));
    await assert.rejects(presence(() => false).untilListening(sut, start, () => Promise.resolve(idle)),
      (error) => error instanceof EnvironmentError && /did not listen on port 8080 within 0\.05 s; it asked 10\.0\.0\.5:5432 for SELECT 1, which/.test(error.message));
  });

  it('that has ended says how, before it listened and after', async () => {
    const dead = presence(() => false, Promise.resolve({ status: 3 }));
    await assert.rejects(dead.untilListening(sut, { ...start, startupMs: 60_000 }, () => Promise.resolve([])), /ended \(exit 3\) before it listened/);
    assert.equal(await dead.listens(sut), false);
    assert.equal(dead.absence(sut), 'the service has ended (exit 3)');
    await assert.rejects(presence(() => false, Promise.resolve({ status: 127 })).untilListening(sut, { ...start, startupMs: 60_000 }, () => Promise.resolve([])), /not an executable command/);
  });
});
