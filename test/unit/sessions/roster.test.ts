import assert from 'node:assert/strict';
import { Roster } from '../../../src/sessions/roster.ts';
import type { Seat, Seated } from '../../../src/sessions/roster.ts';

class Guest implements Seated<Guest> {
  readonly seats: (Seat<Guest> | undefined)[] = [undefined, undefined];
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

const names = (roster: Roster<Guest>): string => [...roster].map(({ name }) => name).join('');

describe('Roster', () => {
  let roster: Roster<Guest>;
  let guests: Guest[];

  beforeEach(() => {
    roster = new Roster<Guest>(1);
    guests = [...'abcd'].map((name) => new Guest(name));
    for (const guest of guests) roster.add(guest);
  });

  it('has who entered, in that order', () => {
    assert.equal(names(roster), 'abcd');
    assert.equal(roster.size, 4);
    assert.equal(roster.first?.name, 'a');
  });

  for (const [at, left] of [[0, 'bcd'], [1, 'acd'], [3, 'abc']] as const) {
    it(`keeps the order of the others when number ${at} leaves`, () => {
      roster.delete(guests[at] as Guest);
      assert.equal(names(roster), left);
      assert.equal(roster.size, 3);
    });
  }

  it('lets who left enter again, at the end', () => {
    roster.delete(guests[0] as Guest);
    roster.add(guests[0] as Guest);
    assert.equal(names(roster), 'bcda');
  });

  it('takes no notice of who leaves twice, or was never in', () => {
    roster.delete(guests[2] as Guest);
    roster.delete(guests[2] as Guest);
    roster.delete(new Guest('x'));
    assert.equal(names(roster), 'abd');
    assert.equal(roster.size, 3);
  });

  it('is empty when all have left, and can be filled again', () => {
    for (const guest of guests) roster.delete(guest);
    assert.equal(roster.size, 0);
    assert.equal(roster.first, undefined);
    roster.add(guests[3] as Guest);
    assert.equal(names(roster), 'd');
  });

  it('is not mixed up with a roster of another index', () => {
    const other = new Roster<Guest>(0);
    other.add(guests[1] as Guest);
    roster.delete(guests[1] as Guest);
    assert.equal(names(other), 'b');
    assert.equal(names(roster), 'acd');
  });

  it('leaves nothing in a seat that would keep the others in memory', () => {
    const seat = guests[1]?.seats[1] as Seat<Guest>;
    roster.delete(guests[1] as Guest);
    assert.deepEqual([seat.previous, seat.next], [undefined, undefined]);
  });
});
