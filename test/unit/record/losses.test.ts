import assert from 'node:assert/strict';
import { CpuCounts } from '../../../src/kernel/cpu-counts.ts';
import { CAUSE_MAP_FULL, CAUSE_RING_FULL, KERNEL_CAUSES } from '../../../src/events/layout.ts';
import { OFFSET_LOST_BYTES, OFFSET_LOST_EVENTS, SIZE_CPU_LOSSES, SIZE_CPU_LOSSES_OF, SIZE_LOST } from '../../../src/kernel/layout.ts';
import { LossCounters } from '../../../src/record/losses.ts';

const CPUS = 3;

describe('the kernel\'s counts of losses', () => {
  const memory = new ArrayBuffer(CPUS * SIZE_CPU_LOSSES);
  let isMapped = true;
  const losses = new LossCounters(new CpuCounts({ memory, close: () => { isMapped = false; } }, SIZE_CPU_LOSSES));
  const view = new DataView(memory);
  const lose = (cpu: number, cause: number, events: number, bytes: number): void => {
    const at = cpu * SIZE_CPU_LOSSES + cause * SIZE_LOST;
    view.setBigUint64(at + OFFSET_LOST_EVENTS, BigInt(events), true);
    view.setBigUint64(at + OFFSET_LOST_BYTES, BigInt(bytes), true);
  };
  const look = (): unknown => losses.look(5).map(({ cause, events, bytes }) => [cause, events, bytes]);

  it('have room for every cause', () => {
    assert.ok(KERNEL_CAUSES.length * SIZE_LOST <= SIZE_CPU_LOSSES_OF);
  });

  it('are told as what all CPUs lost since the last look, by cause', () => {
    assert.deepEqual(look(), []);
    lose(0, CAUSE_RING_FULL, 2, 100);
    lose(2, CAUSE_RING_FULL, 1, 2 ** 40);
    lose(1, CAUSE_MAP_FULL, 0, 7);
    lose(CPUS - 1, KERNEL_CAUSES.length - 1, 1, 0);
    assert.deepEqual(look(), [['ring-full', 3, 100 + 2 ** 40], ['map-full', 0, 7], [KERNEL_CAUSES.at(-1), 1, 0]]);
    assert.deepEqual(look(), []);
    lose(0, CAUSE_RING_FULL, 4, 100);
    assert.deepEqual(look(), [['ring-full', 2, 0]]);
  });

  it('are given back with the memory they stand in', () => {
    losses.close();
    assert.equal(isMapped, false);
  });
});
