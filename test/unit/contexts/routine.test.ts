/** What sessions that ran alone put into a queue. */
import assert from 'node:assert/strict';
import { Routines } from '../../../src/contexts/routine.ts';
import type { Chore } from '../../../src/contexts/routine.ts';

const chore = (shape: string, beganUs: number, answeredUs: number): Chore => ({ shape, beganUs, answeredUs });
const SHOP = [chore('row', 0, 30), chore('price', 10, 20), chore('row', 40, 60), chore('total', 41, 50)];

function learnt(...sessions: readonly (readonly Chore[])[]): Routines {
  const routines = new Routines();
  for (const session of sessions) routines.learn(session);
  return routines;
}

describe('a routine', () => {
  it('is known once four sessions did the same, and tells two calls of one shape apart by their order', () => {
    assert.equal(learnt(SHOP, SHOP, SHOP).usual, undefined);
    const usual = learnt(SHOP, SHOP, SHOP, SHOP).usual;
    assert.deepEqual(usual?.shapes, ['price', 'row', 'row', 'total']);
    assert.deepEqual(usual?.after, [0, 0, 0b0011, 0b0011]);
  });

  it('does not take what was answered before by chance for what has to be', () => {
    const other = [chore('row', 0, 45), chore('price', 10, 20), chore('row', 46, 60), chore('total', 41, 50)];
    assert.deepEqual(learnt(SHOP, SHOP, SHOP, SHOP, other).usual?.after, [0, 0, 0b0011, 0b0001]);
  });

  it('is what was done lately: drivers prepare a statement after some uses', () => {
    const before = SHOP.map((each) => ({ ...each, shape: `${each.shape} unprepared` }));
    assert.deepEqual(learnt(before, before, before, before, before, before, SHOP, SHOP, SHOP, SHOP).usual?.shapes, ['price', 'row', 'row', 'total']);
  });

  it('is not known where such sessions do now this, now that', () => {
    const each = [SHOP, SHOP.slice(0, 3), SHOP.slice(0, 2), SHOP.slice(0, 1)];
    assert.equal(learnt(...Array.from({ length: 30 }, (_, at) => each[at % 4] as readonly Chore[])).usual, undefined);
  });
});
