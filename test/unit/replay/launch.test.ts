import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { droppedNames, LAUNCH, LAUNCH_FD, launchText } from '../../../src/replay/launch.ts';

describe('a service started as the recorded one', () => {
  const environment = ['PLAIN=1', 'EMPTY=', 'ODD=a\'b"c$(x) `y`\n=\\ \xff', 'not.a.name=1', '9=9', 'PATH=/usr/bin:/bin'];

  it('has every variable to the byte, in the recorded folder, and none of ours', () => {
    const text = launchText({ environment, folder: '/usr/bin' });
    const shown = spawnSync('sh', ['-c', `exec ${LAUNCH_FD}<&0 && exec "$@"`, 'sh', ...LAUNCH, 'sh', '-c', 'pwd; env -0'], { encoding: 'latin1', input: Buffer.from(text, 'latin1'), env: { OURS: '1', PATH: process.env['PATH'] } });
    assert.equal(shown.status, 0, shown.stderr);
    const [folder, ...first] = shown.stdout.split('\n');
    const heard = new Set(first.join('\n').split('\0'));
    assert.equal(folder, '/usr/bin');
    for (const entry of ['PLAIN=1', 'EMPTY=', environment[2] ?? '', 'PATH=/usr/bin:/bin']) assert.ok(heard.has(entry), entry);
    assert.equal(heard.has('OURS=1'), false);
  });

  it('is told which names no shell can hand on', () => {
    assert.deepEqual(droppedNames({ environment }), ['not.a.name', '9']);
  });
});
