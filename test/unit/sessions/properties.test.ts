/** What must hold whatever is lost: bytes + gaps == what was sent, and no session that lacks something is called complete. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { Event } from '../../../src/events/event.ts';
import type { Session } from '../../../src/sessions/session.ts';
import { besides, derived, GET, OK, Scene, textOf } from './scene.ts';

/** A small generator (mulberry32), so that a failure can be repeated by its seed. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** The names of the bodies are unique, so that a session's truth can be found by its path. */
function traffic(seed: number): { scene: Scene; truth: Map<string, string> } {
  const roll = random(seed);
  const scene = new Scene();
  const truth = new Map<string, string>();
  const below = (limit: number): number => Math.floor(roll() * limit);
  /** Sends in one of the ways there are: at once, cut short and retried, big, or by packets. */
  const send = (connection: number, tid: number, text: string): void => {
    const way = below(5);
    const at = scene.of(connection).egress;
    if (way === 0) {
      const taken = below(text.length);
      scene.write(connection, tid, text).accepted(connection, tid, at, taken).write(connection, tid, text.slice(taken));
    } else if (way === 1) {
      const half = below(text.length - 1) + 1;
      scene.intent(connection, tid, text.length).write(connection, tid, text.slice(0, half), { more: true }).write(connection, tid, text.slice(half));
    } else if (way === 2) {
      const half = below(text.length - 1) + 1;
      if (roll() < 0.5) scene.packet(connection, at, text.slice(0, half)).sent(connection, tid, at, text.length);
      else scene.sent(connection, tid, at, text.length).packet(connection, at, text.slice(0, half));
      scene.packet(connection, at + half, text.slice(half));
      if (roll() < 0.5) scene.packet(connection, at, text);
    } else scene.write(connection, tid, text);
  };
  const receive = (connection: number, tid: number, text: string): void => {
    const half = below(text.length - 1) + 1;
    if (roll() < 0.5) scene.read(connection, tid, text);
    else scene.read(connection, tid, text.slice(0, half)).read(connection, tid, text.slice(half));
  };
  for (let client = 1; client <= 4; client += 1) scene.accept(client, 1);
  for (let worker = 1; worker <= 4; worker += 1) scene.connect(10 + worker, 100 + worker);
  for (let round = 0; round < 12; round += 1) {
    const client = 1 + below(4);
    const worker = 1 + below(4);
    const path = `/${seed}/${round}`;
    const body = 'b'.repeat(below(60)) + path;
    receive(client, 100 + worker, GET(path));
    send(10 + worker, 100 + worker, GET(`/up${path}`));
    receive(10 + worker, 100 + worker, OK(`up${path}`));
    send(client, 100 + worker, OK(body));
    truth.set(path, JSON.stringify([GET(path), OK(body), GET(`/up${path}`), OK(`up${path}`)]));
    scene.wait(below(400_000));
  }
  for (const connection of [1, 2, 3, 4, 11, 12, 13, 14]) scene.close(connection, 1);
  return { scene, truth };
}

const told = (session: Session): string => JSON.stringify([
  textOf(session.inbound.request), textOf(session.inbound.response), ...session.outbound.flatMap((call) => [textOf(call.request), textOf(call.response)]),
]);
const pathOf = (session: Session): string => / (\S+) HTTP/.exec(textOf(session.inbound.request))?.[1] ?? '';

/** Loses events at random, as a full ring does, and reports it within the time the recorder has. */
function lose(events: readonly Event[], share: number, roll: () => number): Event[] {
  const kept: Event[] = [];
  let lost = 0;
  let sinceUs = 0;
  const report = (atUs: number): void => {
    kept.push({ kind: 'lost', atUs, tgid: 0, tid: 0, context: 0, snapshot: false, cause: 'ring-full', events: lost, bytes: 0 });
    lost = 0;
  };
  for (const event of events) {
    if (lost > 0 && event.atUs > sinceUs + 100_000) report(sinceUs + 100_000);
    if (event.kind !== 'close' && roll() < share) {
      if (lost === 0) sinceUs = event.atUs;
      lost += 1;
    } else kept.push(event);
  }
  if (lost > 0) report(events[events.length - 1]!.atUs + 1);
  return kept;
}

describe('derivation under random traffic', () => {
  it('makes exactly the sessions that there were, each complete and true, when nothing is lost', () => {
    for (let seed = 1; seed <= 200; seed += 1) {
      const { scene, truth } = traffic(seed);
      const found = derived([...new Scene().workers([101, 102, 103, 104]).events, ...scene.events]);
      const sessions = besides(found.sessions);
      const { ambient } = found;
      assert.equal(sessions.length, truth.size, `seed ${seed}`);
      assert.deepEqual(ambient, [], `seed ${seed}`);
      for (const session of sessions) {
        assert.equal(told(session), truth.get(pathOf(session)), `seed ${seed}`);
        assert.deepEqual(session.certificate, { state: 'complete', lost: [], unseen: [] }, `seed ${seed} ${pathOf(session)}`);
        assert.deepEqual(session.ties, { proven: 1, likely: 0, unknown: 0 }, `seed ${seed}`);
      }
    }
  });

  it('accounts for every byte of every connection, whatever was lost', () => {
    for (let seed = 1; seed <= 300; seed += 1) {
      const { scene } = traffic(seed);
      const roll = random(seed * 7919);
      const { connections } = derived(lose(scene.events, 0.02 + roll() * 0.5, roll), { digests: true });
      assert.equal(connections.size, 8);
      for (const account of connections.values()) {
        for (const direction of ['ingress', 'egress'] as const) {
          const stream = account[direction];
          const gaps = stream.gaps.reduce((sum, gap) => sum + gap.bytes, 0);
          assert.equal(stream.from + stream.bytes + gaps, scene.of(Number(account.id))[direction], `seed ${seed} connection ${account.id} ${direction}`);
        }
      }
    }
  });

  it('gives the digest of exactly the bytes that were sent, when nothing is lost', () => {
    for (let seed = 1; seed <= 100; seed += 1) {
      const { scene, truth } = traffic(seed);
      const { connections } = scene.derive({ digests: true });
      const sent = [...connections.values()].filter((account) => account.role === 'inbound').map((account) => account.egress.sha256);
      const { sessions } = scene.derive();
      for (const account of connections.values()) {
        if (account.role !== 'inbound') continue;
        const text = sessions.filter((session) => session.inbound.connection.id === account.id).map((session) => JSON.parse(truth.get(pathOf(session))!)[1] as string).join('');
        assert.equal(account.egress.sha256, createHash('sha256').update(text, 'latin1').digest('hex'), `seed ${seed}`);
      }
      assert.equal(sent.length, 4);
    }
  });

  it('never calls a session complete that lacks a byte or a call', () => {
    let complete = 0;
    let incomplete = 0;
    for (let seed = 1; seed <= 600; seed += 1) {
      const { scene, truth } = traffic(seed);
      const roll = random(seed * 104_729);
      const { sessions } = derived(lose(scene.events, roll() * 0.06, roll));
      for (const session of sessions) {
        if (session.certificate.state !== 'complete') incomplete += 1;
        else {
          complete += 1;
          assert.equal(told(session), truth.get(pathOf(session)), `seed ${seed} ${pathOf(session)}`);
        }
      }
    }
    assert.ok(complete > 500 && incomplete > 500, `${complete} complete, ${incomplete} not: both must be put to the test`);
  });

  it('calls nothing complete that was open when the recorder was killed, at any event', () => {
    const { scene, truth } = traffic(5);
    for (let end = 1; end < scene.events.length; end += 1) {
      for (const session of derived(scene.events.slice(0, end), { orderly: false }).sessions) {
        if (session.certificate.state === 'complete') assert.equal(told(session), truth.get(pathOf(session)));
        else assert.equal(session.certificate.state, 'open');
      }
    }
  });

  it('gives the same sessions the same ids, however often it is derived', () => {
    const { scene } = traffic(9);
    assert.deepEqual(scene.derive().sessions.map((session) => session.id), scene.derive().sessions.map((session) => session.id));
    assert.equal(new Set(scene.derive().sessions.map((session) => session.id)).size, 12);
  });
});
