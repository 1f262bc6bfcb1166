/** `koala-bpf events`: the payload events, and who woke whom, as they came. */
import type { ArgumentsCamelCase, Argv } from 'yargs';
import { UserError } from '../errors.ts';
import { FIRST_NODE_ANSWERED, FIRST_NODE_REQUEST, FIRST_NODE_SHARED, FIRST_TASK, FIRST_VIRTUAL_THREAD, isNodeAnswered, isNodeShared, NODE_NOBODY, NODE_PARTS } from '../events/event.ts';
import type { Event, WakeEvent } from '../events/event.ts';
import { bytesJson } from '../report/bytes-json.ts';
import { hexdump, localTime, oneLine, readableText, textLines } from '../report/text.ts';
import { rfc3339 } from '../sessions/json.ts';
import { openRecording } from '../store/recording.ts';
import { withJson, withRecording } from './command.ts';
import { Lines, say, stdoutColours } from './output.ts';
import type { Colours } from './output.ts';
import { endingSignals } from './signals.ts';

interface Flags {
  DIR: string;
  json: boolean;
  tid: number | undefined;
  follow: boolean;
}

type Payload = Extract<Event, { kind: 'data' | 'gap' | 'accepted' | 'sent' | 'append' }>;
type Shown = Payload | WakeEvent;

export const command = 'events DIR';
export const describe = 'the payload events and wake-ups of a recording, as they came';

export const builder = (yargs: Argv): Argv<Flags> =>
  withJson(withRecording(yargs))
    .option('tid', { type: 'number', requiresArg: true, describe: 'only what this thread moved, whom it woke and who woke it' })
    .option('follow', { type: 'boolean', default: false, describe: 'go on with what comes, until the recorder ends' })
    .example('$0 events rec --tid 4242', 'what one thread sent and received')
    .example('$0 events rec --json --follow | jq .', 'live, for a script') as Argv<Flags>;

const SHOWN: ReadonlySet<Event['kind']> = new Set<Shown['kind']>(['data', 'gap', 'accepted', 'sent', 'append', 'wake']);
const isShown = (event: Event): event is Shown => SHOWN.has(event.kind);

export async function handler(flags: ArgumentsCamelCase<Flags>): Promise<void> {
  const { tid } = flags;
  if (tid !== undefined && !Number.isInteger(tid)) throw new UserError('--tid: not a thread id');
  const recording = openRecording(flags.DIR);
  const lines = new Lines();
  const colours = stdoutColours();
  const show = (event: Event): void => {
    if (!isShown(event) || (tid !== undefined && event.tid !== tid && !(event.kind === 'wake' && event.woken === tid))) return;
    if (flags.json) lines.print(JSON.stringify(eventJson(event)));
    else for (const line of eventLines(event, colours)) lines.print(line);
  };
  if (flags.follow) {
    const ended = new AbortController();
    const end = (): void => ended.abort();
    for (const signal of endingSignals()) process.once(signal, end);
    for await (const event of recording.follow(ended.signal)) {
      show(event);
      lines.end();
    }
  } else {
    for (const event of recording.events()) show(event);
  }
  lines.end();
  for (const problem of recording.status().problems) say(`koala-bpf: ${problem}`);
}

/** One line of `events --json` (docs/json.md). */
export function eventJson(event: Shown): Record<string, unknown> {
  const { kind, tgid, tid } = event;
  const who = { kind, at: rfc3339(event.atUs), tgid, tid, ...(event.context === 0 ? {} : { context: event.context }) };
  if (event.kind === 'wake') return { ...who, woken: event.woken, waitedUs: event.waitedUs };
  const { position, length } = event;
  if (event.kind === 'append') {
    return { ...who, path: event.path, inode: event.inode, position, length, ...bytesJson(event.bytes), ...(event.cause === 'none' ? {} : { cause: event.cause }), ...(event.more ? { more: true } : {}) };
  }
  return {
    ...who, connection: String(event.connection), direction: event.direction, position, length,
    ...(event.kind === 'data' ? bytesJson(event.bytes) : {}),
    ...(event.kind === 'gap' || (event.kind === 'data' && event.cause !== 'none') ? { cause: event.cause } : {}),
    ...(event.kind === 'data' && event.fromPacket ? { fromPacket: true } : {}),
  };
}

function* eventLines(event: Shown, colours: Colours): Generator<string> {
  const who = `${colours.dim(localTime(event.atUs))}  tid ${event.tid}${contextText(event.context)}  `;
  if (event.kind === 'wake') {
    yield `${who}wakes tid ${event.woken}, which waited ${(event.waitedUs / 1000).toFixed(1)} ms`;
    return;
  }
  if (event.kind === 'append') {
    yield `${who}${colours.green('->')} append ${oneLine(event.path)} @${event.position}  ${event.length} bytes${event.cause === 'none' ? '' : colours.red(` not kept: ${event.cause}`)}`;
    yield* byteLines(event.bytes);
    return;
  }
  const arrow = event.direction === 'ingress' ? colours.cyan('<-') : colours.green('->');
  const what = event.kind === 'data' ? `${event.length} bytes`
    : event.kind === 'gap' ? colours.red(`${event.length} bytes missing: ${event.cause}`)
      : event.kind === 'accepted' ? `only ${event.length} bytes were taken` : `${event.length} bytes handed over, payload from packets`;
  yield `${who}connection ${event.connection}  ${arrow} ${event.direction} @${event.position}  ${what}`;
  if (event.kind !== 'data') return;
  yield* byteLines(event.bytes);
  if (event.cause !== 'none') yield `    ${colours.red(`${event.length - event.bytes.length} bytes not kept: ${event.cause}`)}`;
}

function contextText(context: number): string {
  if (context === 0) return '';
  if (context >= FIRST_VIRTUAL_THREAD) return ` virtual thread ${context - FIRST_VIRTUAL_THREAD}`;
  if (context === NODE_NOBODY) return ' for nobody';
  if (context >= FIRST_NODE_REQUEST && context < FIRST_NODE_ANSWERED) return ` for connection ${context - FIRST_NODE_REQUEST}`;
  if (isNodeAnswered(context)) return ` for a request before, of connection ${context - FIRST_NODE_ANSWERED}`;
  if (isNodeShared(context)) return ` part ${(context - FIRST_NODE_SHARED) % NODE_PARTS + 1} of write ${Math.floor((context - FIRST_NODE_SHARED) / NODE_PARTS)}`;
  return context < FIRST_TASK ? ` goroutine ${context}` : ` Python context ${context - FIRST_TASK}`;
}

function* byteLines(bytes: Uint8Array): Generator<string> {
  const text = readableText(bytes);
  for (const line of text === undefined ? hexdump(bytes) : textLines(text)) yield `    ${line}`;
}
