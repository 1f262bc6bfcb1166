import assert from 'node:assert/strict';
import { namesOf, playedName } from '../../../src/replay/running-unix.ts';

describe('the names of a unix socket', () => {
  it('are its path, paths through links to folders above it, and relative ones from where a process works', () => {
    assert.deepEqual(namesOf('/run/db/my.sock', [['/var/run', '/run'], ['/lib', '/usr/lib'], ['/odd', '/']], ['/var', '/run', '/', '/run/d']).sort(), [
      './db/my.sock', './run/db/my.sock', '/run/db/my.sock', '/var/run/db/my.sock', 'db/my.sock', 'run/db/my.sock',
    ]);
  });

  it('are no others of an abstract or relative one', () => {
    assert.deepEqual(namesOf('\0abstract', [['/var/run', '/run']], ['/']), ['\0abstract']);
    assert.deepEqual(namesOf('own.sock', [], ['/run']), ['own.sock']);
  });

  it('of ours are abstract, as long as can be, and of one replay and one socket', () => {
    const names = ['1-2', '12-2'].flatMap((owner) => [0, 1, 10].map((index) => playedName(owner, index)));
    assert.equal(new Set(names).size, names.length);
    assert.ok(names.every((name) => name.startsWith('\0') && name.length === 108));
  });
});
