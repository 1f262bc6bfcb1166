import assert from 'node:assert/strict';
import { Context } from '../../../src/contexts/context.ts';
import type { Job } from '../../../src/contexts/context.ts';
import { attributionOf } from '../../../src/contexts/tie.ts';
import type { Tie } from '../../../src/contexts/tie.ts';
import { Birth, born } from '../../../src/contexts/born.ts';
import { continuation } from '../../../src/contexts/continuation.ts';
import { delegation } from '../../../src/contexts/delegation.ts';
import { helper } from '../../../src/contexts/helper.ts';
import { virtualThread } from '../../../src/contexts/virtual-thread.ts';
import { Discipline } from '../../../src/contexts/discipline.ts';
import { goroutine } from '../../../src/contexts/goroutine.ts';
import { Goroutine, GoroutineKind } from '../../../src/contexts/goroutines.ts';
import { elimination } from '../../../src/contexts/elimination.ts';
import type { Ground } from '../../../src/contexts/evidence.ts';
import { reasonsOf } from '../../../src/contexts/reasons.ts';
import { Content } from '../../../src/contexts/content.ts';
import { HandedOver } from '../../../src/contexts/handed-over.ts';
import type { Past } from '../../../src/contexts/hindsight.ts';
import { Pattern } from '../../../src/contexts/pattern.ts';
import { Trace } from '../../../src/contexts/trace.ts';
import { runtimeCall, runtimeWrite } from '../../../src/contexts/runtime.ts';
import { thread } from '../../../src/contexts/thread.ts';

const JOB: Job = { answered: false, done: false, handedOn: false, gone: false, isOnlyOneToAct: true };

describe('reasons', () => {
  it('speak against a tie exactly where it is not proven, whatever the facts', () => {
    const names = ['loop', 'juggles', 'loopSeen', 'callByOne', 'afterResponse', 'jobByOne', 'blocking', 'pipelined', 'moves', 'lossy', 'paused', 'openLost', 'disputed', 'executed', 'creatorLoop'] as const;
    const provable: readonly Ground[] = [thread, born, goroutine, virtualThread, delegation, runtimeCall];
    for (const evidence of [thread, born, goroutine, virtualThread, helper, delegation, continuation, elimination, runtimeCall, runtimeWrite, new Trace<Past>(), new Content<Past>(), new HandedOver<Past>(), new Pattern<Past>()]) {
      let proven = 0;
      for (let bits = 0; bits < 1 << names.length; bits += 1) {
        const on = (name: (typeof names)[number]): boolean => (bits & (1 << names.indexOf(name))) !== 0;
        // As they can't be: a discipline that saw a loop is not blocking, nor does a call of an unknown opener have one thread.
        if ((on('loopSeen') && on('blocking')) || (on('loop') && !on('loopSeen')) || (on('openLost') && on('callByOne')) || (on('paused') && !on('lossy')) || (evidence !== born && evidence !== goroutine && (on('executed') || on('creatorLoop')))) continue;
        const named = evidence === virtualThread || evidence === helper;
        if (named && on('juggles')) continue;
        const context = new Context<Job>(7, 5, named ? '7' : '');
        context.loop = on('loop');
        context.juggles = on('juggles');
        const discipline = new Discipline<Job>();
        discipline.loop = on('loopSeen');
        const creator = new Context<Job>(8, 5);
        creator.loop = on('creatorLoop');
        context.ended = true;
        const birth = new Birth<Job>({ job: JOB, evidence: thread, inLoop: thread, context: creator, alternatives: [] }, context);
        birth.executed = on('executed');
        // Of goroutines: begun by another, which is sure (or it serves a connection), and many were of its kind.
        if (evidence === goroutine) {
          context.goroutine = new Goroutine(2 ** 48, 21);
          context.goroutine.kind = Object.assign(new GoroutineKind(), { begun: on('blocking') ? 16 : 15 });
          if (!on('executed')) context.goroutine.role = on('creatorLoop') ? 'serves' : 'other';
          else context.heritage = { job: JOB, from: creator, sure: on('creatorLoop'), acted: true, over: false };
        }
        const tie: Tie<Job> = { job: JOB, evidence, inLoop: evidence, context, alternatives: on('disputed') ? [JOB] : [], ...(evidence === born ? { birth } : {}) };
        const call = { byOneThread: on('callByOne'), afterResponse: on('afterResponse') };
        const job = { byOneThread: on('jobByOne'), blocking: on('blocking'), pipelined: on('pipelined'), moves: on('moves'), lossy: on('lossy') };
        const { certainty } = attributionOf(tie, call, job);
        const { for: support, against } = reasonsOf(tie, call, job, { discipline, paused: on('paused'), openLost: on('openLost'), opened: false });
        if (certainty === 'proven') proven += 1;
        assert.equal(against.length === 0, certainty === 'proven', `${evidence.attribution} ${names.filter(on).join(' ')}: ${against.join(' ')}`);
        assert.ok(support.length > 0);
      }
      assert.equal(proven > 0, provable.some((one) => one === evidence), evidence.attribution);
    }
  });
});
