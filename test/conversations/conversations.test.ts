import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { PROTOCOLS } from '../../src/protocols/index.ts';
import type { Frame, Framer, Protocol, Side } from '../../src/protocols/protocol.ts';
import { readDialogues } from './dialogue.ts';
import type { Dialogue, Step } from './dialogue.ts';

const folder = new URL('.', import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith('.md'));

function feed(framer: Framer, steps: Iterable<Step>): Frame[] {
  const out: Frame[] = [];
  for (const step of steps) {
    if (step.kind === 'bytes') {
      // A copy that is overwritten after the call: whoever keeps borrowed bytes is found out.
      const borrowed = new Uint8Array(step.bytes);
      framer.push(step.side, borrowed, out);
      borrowed.fill(0xaa);
    } else if (step.kind === 'gap') {
      framer.gap(step.side, step.length, out);
    } else {
      framer.end(step.side, out);
    }
  }
  return out;
}

const framed = (protocol: Protocol, steps: Iterable<Step>): { frames: Frame[]; unsure: string | undefined } => {
  const framer = protocol.framer();
  const frames = feed(framer, steps);
  return { frames, unsure: framer.sure ? undefined : framer.unsureBecause };
};

function* splitAt(steps: readonly Step[], index: number, offset: number): Generator<Step> {
  for (const [at, step] of steps.entries()) {
    if (at !== index || step.kind !== 'bytes') yield step;
    else yield* [{ ...step, bytes: step.bytes.subarray(0, offset) }, { ...step, bytes: step.bytes.subarray(offset) }];
  }
}

function* byteByByte(steps: readonly Step[]): Generator<Step> {
  for (const step of steps) {
    if (step.kind !== 'bytes') yield step;
    else for (let at = 0; at < step.bytes.length; at++) yield { ...step, bytes: step.bytes.subarray(at, at + 1) };
  }
}

/** Steps of one side that follow each other, joined: borders of the writing are none of the stream's. */
function joined(steps: readonly Step[]): Step[] {
  const result: Step[] = [];
  for (const step of steps) {
    const last = result.at(-1);
    if (step.kind === 'bytes' && last?.kind === 'bytes' && last.side === step.side) {
      result[result.length - 1] = { ...step, bytes: Buffer.concat([last.bytes, step.bytes]) };
    } else {
      result.push(step);
    }
  }
  return result;
}

function streamOf(steps: readonly Step[], side: Side): Uint8Array {
  return Buffer.concat(steps.map((step) => {
    if (step.side !== side || step.kind === 'end') return Buffer.alloc(0);
    return step.kind === 'bytes' ? step.bytes : Buffer.alloc(step.length);
  }));
}

function summaries(protocol: Protocol, dialogue: Dialogue): string[] {
  const of = (side: Side, roles: readonly string[]): Uint8Array[] => dialogue.expected.frames
    .filter((frame) => frame.side === side && roles.includes(frame.role))
    .map((frame) => streamOf(dialogue.steps, side).subarray(frame.start, frame.end));
  const responses = of('server', ['response']);
  return of('client', ['request']).map((request, index) => {
    const { text, status } = protocol.summarise(request, responses[index] ?? new Uint8Array(0));
    return status === undefined ? text : `${text} → ${status}`;
  });
}

describe('conversations', () => {
  let seen = 0;
  for (const file of files) {
    const dialogues = readDialogues(file, readFileSync(new URL(file, folder), 'utf8'));
    describe(file, () => {
      for (const dialogue of dialogues) {
        const protocol = PROTOCOLS.find(({ name }) => name === dialogue.protocol);
        const { expected } = dialogue;
        seen++;
        it(`${dialogue.title}`, () => {
          assert.ok(protocol !== undefined, `no protocol ${dialogue.protocol}`);
          const wanted = { frames: [...expected.frames], unsure: expected.unsure };
          assert.deepEqual(framed(protocol, dialogue.steps), wanted, 'as written');
          const steps = joined(dialogue.steps);
          assert.deepEqual(framed(protocol, steps), wanted, 'whole');
          assert.deepEqual(framed(protocol, byteByByte(steps)), wanted, 'byte by byte');
          for (const [index, step] of steps.entries()) {
            if (step.kind !== 'bytes') continue;
            for (let offset = 1; offset < step.bytes.length; offset++) {
              assert.deepEqual(framed(protocol, splitAt(steps, index, offset)), wanted, `step ${index + 1} split at ${offset}`);
            }
          }
          for (const side of ['client', 'server'] as const) {
            let end = 0;
            for (const frame of expected.frames.filter((one) => one.side === side)) {
              assert.equal(frame.start, end, 'frames of a side follow each other without holes');
              end = frame.end;
            }
          }
        });
        if (expected.talks.length > 0) {
          it(`${dialogue.title}: reads as ${expected.talks.length === 1 ? 'a line' : 'lines'}`, () => {
            assert.ok(protocol !== undefined);
            assert.deepEqual(summaries(protocol, dialogue), expected.talks);
          });
        }
      }
    });
  }
  it('there are dialogues of every protocol that frames', () => {
    assert.ok(seen >= 90, `only ${seen} dialogues were found`);
  });
});
