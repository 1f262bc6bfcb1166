import assert from 'node:assert/strict';
import * as layout from '../../../src/kernel/layout.ts';
import type { BpfMap } from '../../../src/kernel/map.ts';
import { SentSoFar, standing } from '../../../src/record/sweep.ts';

/** An open connection of this process whose socket is not there any more, as the kernel's table has it. */
function value(id: number, flags: number): Uint8Array {
  const bytes = new Uint8Array(layout.SIZE_CONNECTION);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(layout.OFFSET_CONNECTION_ID, BigInt(id), true);
  view.setBigUint64(layout.OFFSET_CONNECTION_INODE, 1n, true);
  view.setUint32(layout.OFFSET_CONNECTION_TGID, process.pid, true);
  view.setUint32(layout.OFFSET_CONNECTION_FLAGS, flags, true);
  return bytes;
}

function mapOf(table: ReadonlyMap<number, Uint8Array>): BpfMap {
  return { keys: () => [...table.keys()].map((key) => Uint8Array.of(key)), get: (key: Uint8Array) => table.get(key[0] ?? 0) } as unknown as BpfMap;
}

describe('what is open when the recorder stops', () => {
  it('stands, but for a unix socket that is gone; a connection without sequence numbers need not be one (MPTCP)', () => {
    const table = new Map([[1, value(1, layout.CONNECTION_OPENED)], [2, value(2, layout.CONNECTION_OPENED | layout.CONNECTION_UNIX)], [3, value(3, 0)]]);
    const map = mapOf(table);
    assert.deepEqual(standing(map, 0, 100).map(({ connection, phase }) => [connection, phase]), [[101, 'stands'], [102, 'done']]);
  });
});

describe('what is said of the living when nothing happens', () => {
  it('is how far each has sent, once for all that it sent, and nothing of those that are not told of', () => {
    const table = new Map([[1, value(1, layout.CONNECTION_OPENED)], [2, value(2, layout.CONNECTION_OPENED)], [3, value(3, 0)]]);
    const map = mapOf(table);
    const send = (id: number, position: number, from = 0): void => {
      const view = new DataView((table.get(id) as Uint8Array).buffer);
      view.setBigUint64(layout.OFFSET_CONNECTION_EGRESS_FROM, BigInt(from), true);
      view.setBigUint64(layout.OFFSET_CONNECTION_EGRESS_POSITION, BigInt(position), true);
    };
    const sent = new SentSoFar();
    send(1, 500);
    send(2, 7_000, 7_000);
    send(3, 9);
    assert.deepEqual(sent.take(map, 100), [{ connection: 101, position: 500 }]);
    assert.deepEqual(sent.take(map, 100), []);
    send(2, 2 ** 40, 7_000);
    table.delete(1);
    assert.deepEqual(sent.take(map, 100), [{ connection: 102, position: 2 ** 40 }]);
  });
});
