import assert from 'node:assert/strict';
import { GET, OK, Scene } from './scene.ts';

describe('a process', () => {
  const command = (scene: Scene): string | undefined => scene.accept(1, 100, { command: 'node' }).read(1, 100, GET('/')).write(1, 100, OK('x')).close(1).derive().sessions[0]?.process.command;

  it('is called by what it became, also where it is told later what it was before', () => {
    const scene = new Scene();
    const beforeUs = scene.nowUs;
    scene.process('exec', 100, { command: 'node' }).process('seen', 100, { command: 'sh', atUs: beforeUs });
    assert.equal(command(scene), 'node');
  });

  it('is called by what it has become while the recorder was away', () => {
    assert.equal(command(new Scene().process('exec', 100, { command: 'sh' }).process('seen', 100, { command: 'node' })), 'node');
  });
});
