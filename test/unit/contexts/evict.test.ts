/** Threads whose end was lost don't pile up. */
import assert from 'node:assert/strict';
import { Contexts, maxContexts } from '../../../src/contexts/contexts.ts';
import { FIRST_GOROUTINE } from '../../../src/connections/piece.ts';
import type { Job } from '../../../src/contexts/context.ts';

const contextsOf = (movedOn: number[] = []): Contexts<Job> => new Contexts<Job>((_, tid) => void movedOn.push(tid), () => 0);
const job: Job = { answered: false, done: false, handedOn: false, gone: false, isOnlyOneToAct: true };

describe('of more threads than there is room for', () => {
  it('the one first seen is forgotten, and the session that it was at is told', () => {
    const movedOn: number[] = [];
    const contexts = contextsOf(movedOn);
    contexts.own(1, 100).reading = job;
    for (let tid = 2; tid <= maxContexts; tid++) contexts.own(tid, 100);
    assert.ok(contexts.known(1) !== undefined);
    contexts.own(maxContexts + 1, 100);
    assert.deepEqual([contexts.size, contexts.known(1), movedOn], [maxContexts, undefined, [1]]);
    assert.ok(contexts.known(2) !== undefined);
  });

  it('goroutines that serve a connection are kept before others', () => {
    const contexts = contextsOf();
    const [other, serving] = [FIRST_GOROUTINE, FIRST_GOROUTINE + 1];
    for (const role of ['other', 'serves'] as const) {
      contexts.goroutines.met({ kind: 'goroutine', atUs: 0, tgid: 100, tid: 1, context: role === 'other' ? 7 : 8, snapshot: false, parent: 0, function: '', role, began: true });
    }
    contexts.own(other, 100);
    const context = contexts.own(serving, 100);
    context.requests = 1;
    for (let tid = 1; tid <= maxContexts; tid++) contexts.own(tid, 200);
    assert.deepEqual([contexts.size, contexts.known(other), contexts.known(serving), contexts.known(1)], [maxContexts, undefined, context, undefined]);
  });
});
