/**
 * Every test of test/vm/*.guest on every kernel that scripts/vm knows, KOALA_VM_JOBS machines at once (as many as there
 * are cores). KOALA_VM_ONLY limits the kernels ("5.10 7.2"). What each shows is kept for docs/kernels.md
 * (scripts/kernel-table).
 */
import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { listed, reasonToSkip, vm, type Run } from './machine.ts';
import { skipIf } from '../skip.ts';

interface Cell {
  readonly series: string;
  readonly name: string;
  readonly ended: Promise<Run>;
  readonly begin: () => Promise<void>;
}

function cell(series: string, name: string): Cell {
  const { promise, resolve, reject } = withResolvers<Run>();
  promise.catch(() => undefined); // awaited by its own test, perhaps much later
  return { series, name, ended: promise, begin: () => vm(['test', series, name]).then(resolve, reject) };
}

describe('matrix', function () {
  this.timeout(7_200_000);
  const only = process.env['KOALA_VM_ONLY']?.split(/\s+/);
  const kernels = listed('kernels').filter((series) => only === undefined || only.includes(series));
  const cells = kernels.flatMap((series) => listed('tests', series).map((name) => cell(series, name)));

  before(() => {
    const waiting = cells.values();
    const worker = async (): Promise<void> => {
      for (const { begin } of waiting) await begin();
    };
    const jobs = Number(process.env['KOALA_VM_JOBS'] ?? availableParallelism());
    for (let job = 0; job < jobs; job++) void worker();
  });

  for (const { series, name, ended } of cells) {
    it(`passes ${name} on ${series}`, async function () {
      const run = await ended;
      skipIf(this, reasonToSkip(run));
      assert.equal(run.status, 0, `status ${run.status}\n${run.stderr.slice(-4000)}\n${run.stdout.toString().slice(-4000)}`);
    });
  }
});

function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (why: unknown) => void } {
  let resolve: (value: T) => void = () => undefined;
  let reject: (why: unknown) => void = () => undefined;
  const promise = new Promise<T>((yes, no) => { [resolve, reject] = [yes, no]; });
  return { promise, resolve, reject };
}
