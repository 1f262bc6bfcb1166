/** `koala-bpf show`: one session, as a conversation; or all of a trace, as a tree. */
import type { ArgumentsCamelCase, Argv } from 'yargs';
import { UserError } from '../errors.ts';
import { conversation } from '../report/conversation.ts';
import { traceJson, traceLines, traceTree } from '../report/trace-tree.ts';
import { sessionJson } from '../sessions/json.ts';
import { wantedIds } from '../sessions/trace-of.ts';
import type { SessionIndex } from '../store/session-index.ts';
import { withJson, withQuiet, withRecording } from './command.ts';
import { Lines, stdoutColours } from './output.ts';
import { openIndex } from './reading.ts';

interface Flags {
  DIR: string;
  ID: string | undefined;
  trace: string | undefined;
  json: boolean;
  quietAfter: string | undefined;
}

export const command = 'show DIR [ID]';
export const describe = 'one session, as a conversation; or the sessions of a trace, as a tree';

export const builder = (yargs: Argv): Argv<Flags> =>
  withQuiet(withJson(withRecording(yargs)))
    .positional('ID', { type: 'string', describe: 'a session; a unique beginning of its id is enough' })
    .option('trace', { type: 'string', requiresArg: true, describe: 'instead of one session, all of this trace, of every recorded process, and who called whom' })
    .example('$0 show rec 3fa9 | less', 'who said what to whom, when, how tied')
    .example("$0 show rec 3fa9 --json | jq '.outbound[].request'", 'what it asked of others');

export function handler(flags: ArgumentsCamelCase<Flags>): void {
  if ((flags.ID === undefined) === (flags.trace === undefined)) throw new UserError('one of a session\'s id and --trace is meant');
  const { index } = openIndex(flags.DIR, flags.quietAfter);
  try {
    const lines = new Lines();
    if (flags.trace !== undefined) {
      for (const line of ofTrace(index, flags.trace, flags.json)) lines.print(line);
      return lines.end();
    }
    const session = index.load(index.find(flags.ID as string));
    if (flags.json) lines.print(JSON.stringify(sessionJson(session)));
    else for (const line of conversation(session, stdoutColours())) lines.print(line);
    lines.end();
  } finally {
    index.close();
  }
}

/** Sessions of one trace that are held at a time. */
const maxOfTrace = 10_000;

function* ofTrace(index: SessionIndex, trace: string, json: boolean): Generator<string> {
  const sessions = [];
  for (const row of index.list({ trace: wantedIds(trace) })) {
    if (sessions.length >= maxOfTrace) throw new UserError(`more than ${maxOfTrace} sessions are of ${trace}: an id that so many share tells nothing`);
    sessions.push(index.load(row));
  }
  if (sessions.length === 0) throw new UserError(`no session of trace ${JSON.stringify(trace)} in this recording`);
  const nodes = traceTree(sessions);
  if (json) yield JSON.stringify(traceJson(trace, nodes));
  else yield* traceLines(trace, nodes, stdoutColours());
}
