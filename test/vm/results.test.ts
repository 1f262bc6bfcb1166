import assert from 'node:assert/strict';
import { kernelPage, newestRuns, parseResults, type Result } from './results.ts';

function result(fields: Partial<Result>): Result {
  return {
    kernel: '6.1', release: '6.1.0-50', arch: 'x86_64', test: 'truth', at: '2026-01-01T00:00:00Z',
    backend: 'kprobe', result: 'pass', shown: '40 scenarios', ...fields,
  };
}

function row(page: string, kernel: string, backend: string): string | undefined {
  return page.split('\n').find((line) => line.startsWith(`| ${kernel} |`) && line.includes(`| ${backend} |`))?.split(' | ').at(-1)?.replace(/ \|$/, '');
}

describe('kernel table', () => {
  it('says "not run" for every kernel, backend and architecture without a result', () => {
    const page = kernelPage([result({})], ['5.10', '6.1']);
    assert.equal(row(page, '6.1.0-50', 'kprobe'), 'truth: 40 scenarios');
    assert.equal(row(page, '6.1.0-50', 'fentry'), 'not run');
    assert.equal(row(page, '5.10', 'kprobe'), 'not run');
    assert.match(page, /^\| any \| arm64 \| \(all\) \| not run \|$/m);
  });

  it('has the rows of another architecture behind, once something was run there', () => {
    const page = kernelPage([result({ kernel: '6.1-arm64', release: '6.1.0-50-cloud-arm64', arch: 'aarch64' }), result({ kernel: '7.2', release: '7.2.1' })], ['5.10', '7.2']);
    const rows = page.split('\n').filter((line) => line.includes('| kprobe |')).map((line) => line.split(' | ').slice(0, 2).join(' '));
    assert.deepEqual(rows, ['| 5.10 x86-64', '| 7.2.1 x86-64', '| 6.1.0-50-cloud-arm64 arm64']);
    assert.equal(row(page, '6.1.0-50-cloud-arm64', 'kprobe'), 'truth: 40 scenarios');
    assert.doesNotMatch(page, /^\| any /m);
  });

  it('shows a failure as a failure, beside what passed', () => {
    const page = kernelPage([result({}), result({ test: 'hooks', result: 'fail', shown: 'a hook is silent' })], []);
    assert.equal(row(page, '6.1.0-50', 'kprobe'), 'truth: 40 scenarios<br>hooks: **failed**: a hook is silent');
  });

  it('keeps only the newest run of a test on a kernel, with all of its backends', () => {
    const old = result({ result: 'fail' });
    const other = result({ kernel: '5.10' });
    const at = '2026-02-01T00:00:00Z';
    const now = [result({ at }), result({ at, backend: 'fentry' })];
    assert.deepEqual(newestRuns([now[0]!, old, now[1]!, other]), [...now, other]);
  });

  it('names a kernel of which it only has results, and orders series by number', () => {
    const page = kernelPage([result({ kernel: '6.18', release: '6.18.1' })], ['6.1', '7.2', '5.10', '6.12']);
    const order = page.split('\n').filter((line) => line.includes('| fentry |')).map((line) => line.split(' ')[1]);
    assert.deepEqual(order, ['5.10', '6.1', '6.12', '6.18.1', '7.2']);
  });

  it('refuses a line that is no result, by its number', () => {
    assert.throws(() => parseResults(`${JSON.stringify(result({}))}\n{"kernel":"6.1"}\n`), /^Error: line 2 is no result/);
    assert.throws(() => parseResults('{"kernel'), /^Error: line 1 is no result/);
  });
});
