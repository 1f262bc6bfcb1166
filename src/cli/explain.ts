/** `koala-bpf explain`: why the calls of a session are said to be its own, and what speaks against it. */
import type { ArgumentsCamelCase, Argv } from 'yargs';
import { UserError } from '../errors.ts';
import { explain, explainUntied, mayBeOf } from '../report/explanation.ts';
import type { Untied } from '../report/explanation.ts';
import { explanationLines } from '../report/explanation-lines.ts';
import { Derivation } from '../sessions/derivation.ts';
import type { Session } from '../sessions/session.ts';
import type { SessionIndex } from '../store/session-index.ts';
import { withJson, withQuiet, withRecording } from './command.ts';
import { quietMs } from './environment.ts';
import { Lines, ProgressLine, stdoutColours } from './output.ts';
import { openIndex, progressText } from './reading.ts';

interface Flags {
  DIR: string;
  ID: string;
  json: boolean;
  quietAfter: string | undefined;
}

export const command = 'explain DIR ID';
export const describe = 'why the calls of a session are said to be its own, and what speaks against it';

export const builder = (yargs: Argv): Argv<Flags> =>
  withQuiet(withJson(withRecording(yargs)))
    .positional('ID', { type: 'string', demandOption: true, describe: 'a session; a unique beginning of its id is enough' })
    .example('$0 explain rec 3fa9 | less', 'for each call, the evidence for and against; then why it is complete, or not')
    .example("$0 explain rec 3fa9 --json | jq '.calls[].against'", 'what keeps its calls from being proven');

/** What speaks for and against a tie is in no index: the recording is derived for each asking. */
export function handler(flags: ArgumentsCamelCase<Flags>): void {
  const { recording, index } = openIndex(flags.DIR, flags.quietAfter);
  try {
    const wanted = index.find(flags.ID);
    const untied: Untied[] = [];
    let session: Session | undefined;
    const derivation = new Derivation({
      recordingId: recording.id, quietMs: quietMs(process.env, flags.quietAfter), reasons: true,
      onSession: (one) => { if (one.id === wanted.id) session = one; },
      onAmbient: (talk) => { if (mayBeOf(talk, wanted)) untied.push(explainUntied(talk, wanted)); },
    });
    const total = recording.segments().reduce((sum, segment) => sum + segment.bytes, 0);
    const progress = new ProgressLine();
    try {
      for (const event of recording.events({ onProgress: (done) => progress.update(progressText('reading', done, total)) })) derivation.push(event);
    } finally {
      progress.end();
    }
    derivation.finish(recording.status().endedOrderly);
    if (session === undefined) throw new UserError(`session ${wanted.id} is gone from ${flags.DIR} since it was listed; is it still being recorded, or were segments removed?`);
    const ids = [...session.outbound, ...untied].flatMap((call) => ('candidates' in call ? call.candidates : call.alternatives ?? []));
    const summaries = summariesOf(index, new Set(ids));
    const explanation = explain(session, untied, (id) => {
      const summary = summaries.get(id);
      return summary === undefined ? { id } : { id, summary };
    });
    const lines = new Lines();
    if (flags.json) lines.print(JSON.stringify(explanation));
    else for (const line of explanationLines(explanation, session.startedAtUs, stdoutColours())) lines.print(line);
    lines.end();
  } finally {
    index.close();
  }
}

/** In one go through the list. */
function summariesOf(index: SessionIndex, ids: ReadonlySet<string>): Map<string, string> {
  const found = new Map<string, string>();
  if (ids.size === 0) return found;
  for (const { id, summaryText } of index.list()) {
    if (ids.has(id)) found.set(id, summaryText);
    if (found.size === ids.size) break;
  }
  return found;
}
