/** `koala-bpf show`: one session, as a conversation. */
import type { ArgumentsCamelCase, Argv } from 'yargs';
import { conversation } from '../report/conversation.ts';
import { sessionJson } from '../sessions/json.ts';
import { withJson, withQuiet, withRecording } from './command.ts';
import { Lines, stdoutColours } from './output.ts';
import { openIndex } from './reading.ts';

interface Flags {
  DIR: string;
  ID: string;
  json: boolean;
  quietAfter: string | undefined;
}

export const command = 'show DIR ID';
export const describe = 'one session, as a conversation';

export const builder = (yargs: Argv): Argv<Flags> =>
  withQuiet(withJson(withRecording(yargs)))
    .positional('ID', { type: 'string', demandOption: true, describe: 'a session; a unique beginning of its id is enough' })
    .example('$0 show rec 3fa9 | less', 'who said what to whom, when, how tied')
    .example("$0 show rec 3fa9 --json | jq '.outbound[].request'", 'what it asked of others');

export function handler(flags: ArgumentsCamelCase<Flags>): void {
  const { index } = openIndex(flags.DIR, flags.quietAfter);
  try {
    const session = index.load(index.find(flags.ID));
    const lines = new Lines();
    if (flags.json) lines.print(JSON.stringify(sessionJson(session)));
    else for (const line of conversation(session, stdoutColours())) lines.print(line);
    lines.end();
  } finally {
    index.close();
  }
}
