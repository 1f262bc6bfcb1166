import assert from 'node:assert/strict';
import { readReply } from './resp.ts';
import { invented } from '../../../src/replay/invented.ts';

const command = (...words: string[]): Uint8Array => Buffer.from(`*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`);
const told = (...words: string[]): unknown => readReply(Buffer.from(invented('redis', command(...words)) ?? []).toString('latin1'));

describe('an agreement that was never recorded', () => {
  it('to HELLO is a map of the protocol that was asked for', () => {
    const three = told('hello', '3', 'AUTH', 'default', 'x') as Map<string, unknown>;
    assert.equal(three.get('proto'), 3);
    assert.deepEqual(three.get('modules'), []);
    const two = told('HELLO', '2') as unknown[];
    assert.deepEqual(two.slice(-4), ['proto', 2, 'modules', []]);
  });

  it('to a question of a Redis client is of the kind that it reads, else OK', () => {
    assert.deepEqual([told('CLIENT', 'ID'), told('client', 'getname'), told('COMMAND', 'DOCS'), told('AUTH', 'x'), told('CLIENT', 'SETINFO', 'LIB-NAME', 'a')], [1, null, [], 'OK', 'OK']);
  });

  it('is none where the protocol knows no set-up', () => {
    assert.equal(invented('http', Buffer.from('GET / HTTP/1.1')), undefined);
  });
});
