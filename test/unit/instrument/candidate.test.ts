import assert from 'node:assert/strict';
import { catches, isOwnHandler, namedInspectorPort } from '../../../src/instrument/candidate.ts';
import { isNodeName } from '../../../src/instrument/node-name.ts';

describe('whom SIGUSR1 may be sent', () => {
  it('goes by the name first', () => {
    for (const path of ['/usr/bin/node', '/usr/bin/nodejs', '/opt/node20/bin/node20', '/x/node-22.1.0']) assert.ok(isNodeName(path), path);
    for (const path of ['/usr/bin/nodemon', '/usr/bin/python3', '/usr/bin/anode', undefined]) assert.ok(!isNodeName(path), path);
  });

  it('is nobody who does not catch it yet: it would end them', () => {
    assert.ok(catches('Name:\tnode\nSigIgn:\t0000000001001000\nSigCgt:\t0000000100004602\n'));
    assert.ok(!catches('Name:\tnode\nSigCgt:\t0000000100004402\n'));
    assert.ok(!catches('Name:\tnode\n'));
  });

  it('is nobody who handles it with code of the service: libuv asks for SA_RESTART, Node itself does not', () => {
    assert.ok(!isOwnHandler({ handler: 0xdfa590n, flags: 0x400_0000n }));
    assert.ok(isOwnHandler({ handler: 0x18b68a0n, flags: 0x1400_0000n }));
  });

  it('finds where a command line says that the inspector listens, and whether it does already', () => {
    assert.equal(namedInspectorPort(['node', 'server.js']), undefined);
    assert.deepEqual(namedInspectorPort(['node', '--inspect']), { port: 9229, open: true });
    assert.deepEqual(namedInspectorPort(['node', '--inspect=0.0.0.0:9333']), { port: 9333, open: true });
    assert.deepEqual(namedInspectorPort(['node', '--inspect-brk=[::1]:9300']), { port: 9300, open: true });
    assert.deepEqual(namedInspectorPort(['node', '--inspect-port=9400', 'x']), { port: 9400, open: false });
    assert.deepEqual(namedInspectorPort(['--inspect', '--inspect-port=9400']), { port: 9400, open: true });
    assert.equal(namedInspectorPort(['node', '--inspect-something']), undefined);
  });
});
