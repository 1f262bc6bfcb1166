import assert from 'node:assert/strict';
import { NOTHING_BYPASSED } from '../../../src/replay/bypass.ts';
import { ownRules, portsIn } from '../../../src/replay/own-network.ts';

const destinations = ['127.0.0.1:6379', '10.0.0.5:80', 'unix:/run/x', '[::1]:7000', 'api:80'];

describe('the rules for what a command says to itself', () => {
  it('lead recorded addresses to the player, and everything else of this host to its own listeners, by family', () => {
    const rules = (family: 'v4' | 'v6'): string[] => ownRules(family, { destinations, bypassed: NOTHING_BYPASSED, moved: [] }, ['192.168.0.7', 'fd00::7'], 64_999);
    assert.deepEqual(rules('v4'), [
      '-A OUTPUT -p tcp -d 127.0.0.1 --dport 6379 -j REDIRECT --to-ports 64999', '-A OUTPUT -p tcp -d 10.0.0.5 --dport 80 -j REDIRECT --to-ports 64999',
      '-A OUTPUT -p tcp -d 127.0.0.0/8 -j RETURN', '-A OUTPUT -p tcp -d 192.168.0.7 -j RETURN',
    ]);
    assert.deepEqual(rules('v6'), ['-A OUTPUT -p tcp -d ::1 --dport 7000 -j REDIRECT --to-ports 64999', '-A OUTPUT -p tcp -d ::1/128 -j RETURN', '-A OUTPUT -p tcp -d fd00::7 -j RETURN']);
  });

  it('lead what is let through, or has moved, to the player too, which passes it on', () => {
    const bypassed = { ...NOTHING_BYPASSED, addresses: [{ port: 5000 }, { host: '127.0.0.2' }], names: [{ name: 'here', addresses: ['127.0.0.3'], port: 1 }] };
    assert.deepEqual(ownRules('v4', { destinations: [], bypassed, moved: [{ recorded: { host: '10.0.0.1', port: 1 }, live: { host: '127.0.0.1', port: 2 } }] }, [], 1).slice(0, -1), [
      '-A OUTPUT -p tcp --dport 5000 -j REDIRECT --to-ports 1', '-A OUTPUT -p tcp -d 127.0.0.2 -j REDIRECT --to-ports 1',
      '-A OUTPUT -p tcp -d 127.0.0.1 --dport 2 -j REDIRECT --to-ports 1', '-A OUTPUT -p tcp -d 127.0.0.3 --dport 1 -j REDIRECT --to-ports 1',
    ]);
  });
});

describe('the kernel\'s notes on who was asked', () => {
  it('name a port a line, of either side, in both families', () => {
    assert.deepEqual(portsIn('86399 0.0.0.0:0->0.0.0.0:9999 68719476500 1 2\n86399 0.0.0.0:4444->0.0.0.0:0 1 1 2\n604799 0000:0000:0000:0000:0000:0000:0000:0000:0->0000:0000:0000:0000:0000:0000:0000:0000:77 1 1 1\n'), [9999, 4444, 77]);
    assert.deepEqual(portsIn(''), []);
  });
});
