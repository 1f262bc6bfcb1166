import assert from 'node:assert/strict';
import {
  DIRECTION_EGRESS, DIRECTION_INGRESS, OFFSET_OPEN_PAYLOAD_ROLE, OFFSET_SAMPLE_CONNECTION, OFFSET_SAMPLE_CONTEXT, OFFSET_SAMPLE_DIRECTION, OFFSET_SAMPLE_KIND,
  OFFSET_SAMPLE_TGID, OFFSET_SAMPLE_TID, ROLE_INBOUND, ROLE_OUTBOUND, SAMPLE_CLOSE, SAMPLE_DATA, SAMPLE_OPEN, SIZE_OPEN_PAYLOAD, SIZE_SAMPLE,
} from '../../../src/events/layout.ts';
import { PoolWatch } from '../../../src/record/pool-watch.ts';

const [INBOUND, OUTBOUND] = [1, 2];
/** So that what is at the sample's place is read, and nothing before it. */
const AT = 64;

class Watched {
  readonly watch = new PoolWatch();
  /** How often it said so. */
  said = 0;

  constructor() {
    this.opens(INBOUND, ROLE_INBOUND).opens(OUTBOUND, ROLE_OUTBOUND);
  }

  opens(connection: number, role: number): this {
    const view = this.#sample(SAMPLE_OPEN, connection, 5);
    view.setUint8(AT + SIZE_SAMPLE + OFFSET_OPEN_PAYLOAD_ROLE, role);
    return this.#see(view);
  }

  closes(connection: number): this {
    return this.#see(this.#sample(SAMPLE_CLOSE, connection, 5));
  }

  reads(tid: number, connection = INBOUND): this {
    const view = this.#sample(SAMPLE_DATA, connection, tid);
    view.setUint8(AT + OFFSET_SAMPLE_DIRECTION, DIRECTION_INGRESS);
    return this.#see(view);
  }

  calls(tid: number, times: number, { tgid = 5, goroutine = 0 } = {}): this {
    const view = this.#sample(SAMPLE_DATA, OUTBOUND, tid, tgid);
    view.setUint8(AT + OFFSET_SAMPLE_DIRECTION, DIRECTION_EGRESS);
    view.setBigUint64(AT + OFFSET_SAMPLE_CONTEXT, BigInt(goroutine), true);
    for (let time = 0; time < times; time += 1) this.#see(view);
    return this;
  }

  #sample(kind: number, connection: number, tid: number, tgid = 5): DataView {
    const view = new DataView(new ArrayBuffer(AT + SIZE_SAMPLE + SIZE_OPEN_PAYLOAD));
    view.setUint8(AT + OFFSET_SAMPLE_KIND, kind);
    view.setBigUint64(AT + OFFSET_SAMPLE_CONNECTION, BigInt(connection), true);
    view.setUint32(AT + OFFSET_SAMPLE_TID, tid, true);
    view.setUint32(AT + OFFSET_SAMPLE_TGID, tgid, true);
    return view;
  }

  #see(view: DataView): this {
    if (this.watch.sees(view, AT)) this.said += 1;
    return this;
  }
}

describe('pools of threads', () => {
  it('are found where a thread calls again and again that reads no requests, beside one that does', () => {
    const watched = new Watched().reads(11).calls(21, 7);
    assert.equal(watched.watch.found, false);
    assert.equal(watched.calls(21, 1).said, 1);
    assert.equal(watched.watch.found, true);
  });

  it('are not where who calls reads the requests as well: an event loop, a thread for each request, threads that share work', () => {
    assert.equal(new Watched().reads(11).calls(11, 100).said, 0);
    assert.equal(new Watched().reads(11).calls(21, 7).reads(21).calls(21, 100).calls(22, 7).reads(22).calls(22, 100).said, 0);
  });

  it('are not where nobody takes requests, where goroutines call, nor in another process than the one that takes them', () => {
    assert.equal(new Watched().calls(21, 100).said, 0);
    assert.equal(new Watched().reads(11).calls(21, 100, { goroutine: 7 }).said, 0);
    assert.equal(new Watched().reads(11).calls(21, 100, { tgid: 6 }).said, 0);
  });

  it('are not found by what is read and written on connections that these processes opened and closed', () => {
    assert.equal(new Watched().reads(21, OUTBOUND).reads(11).calls(21, 8).said, 1, 'an answer is no request');
    assert.equal(new Watched().reads(11).closes(OUTBOUND).calls(21, 100).said, 0);
  });
});
