/** PostgreSQL: requests by statement text and parameters, answers by rows and errors. */
import { errorFields, Fields, readMessages } from '../protocols/postgresql-messages.ts';
import { shown } from './bytes.ts';
import type { Differences } from './difference.ts';
import { compareJson } from './json.ts';
import type { Json } from './json.ts';

type Model = Record<string, Json>;

/** Binary values in hexadecimal, as PostgreSQL writes bytea. */
function valueOf(bytes: Uint8Array, binary: boolean): Json {
  const text = binary ? undefined : shown(bytes);
  return typeof text === 'string' ? text : `\\x${Buffer.from(bytes).toString('hex')}`;
}

function bound(body: Uint8Array): { prepared: string; parameters: Json[]; resultFormats: number[] } {
  const fields = new Fields(body);
  fields.text(); // the portal's name means nothing beyond the request
  const prepared = fields.text();
  const counted = (): number[] => Array.from({ length: Math.max(0, Math.min(fields.int(2), body.length)) }, () => fields.int(2));
  const formats = counted();
  const count = Math.max(0, Math.min(fields.int(2), body.length));
  const parameters = Array.from({ length: count }, (_, at): Json => {
    const length = fields.int(4);
    const binary = (formats.length === 1 ? formats[0] : formats[at]) === 1;
    return length < 0 ? null : valueOf(fields.take(length), binary);
  });
  return { prepared, parameters, resultFormats: counted() };
}

/**
 * What a request asks. `messages` is the sequence of its message types: an answer to `PBDES` is another one than to `BES`. A
 * statement's name is a client's own invention where its text is in the request, and what it refers to where it is not.
 */
function readRequest(bytes: Uint8Array): Model {
  const steps: Model[] = [];
  let messages = '';
  let copied = Buffer.alloc(0);
  let parsed = false;
  for (const { type, body, missing } of readMessages(bytes, 'client')) {
    const fields = new Fields(body);
    if (missing > 0 || type === 'rest') steps.push({ unread: shown(body), missing });
    if (type === 'rest') continue;
    if (type !== 'd') messages += type === 'startup' ? '0' : type;
    if (type === 'startup') steps.push({ startup: shown(body) });
    else if (type === 'Q') steps.push({ statement: fields.text() });
    else if (type === 'P') {
      fields.text();
      parsed = true;
      const statement = fields.text();
      const types = Array.from({ length: Math.max(0, Math.min(fields.int(2), body.length)) }, () => fields.int(4));
      steps.push({ statement, ...(types.length > 0 ? { types } : {}) });
    } else if (type === 'B') {
      const { prepared, parameters, resultFormats } = bound(body);
      const last = steps.at(-1);
      const own = parsed && last !== undefined && 'statement' in last && !('parameters' in last) ? last : undefined;
      if (own === undefined) steps.push({ ...(parsed ? {} : { prepared }), parameters, resultFormats });
      else Object.assign(own, { parameters, resultFormats });
    } else if (type === 'E') {
      fields.text();
      const rows = fields.int(4);
      if (rows !== 0) steps.push({ maxRows: rows });
    } else if (type === 'd') copied = Buffer.concat([copied, body]);
    else if (type === 'F' || type === 'f') steps.push({ [type]: shown(body) });
  }
  const [only] = steps;
  return { messages, ...(steps.length === 1 && only !== undefined ? only : steps.length === 0 ? {} : { steps }), ...(copied.length > 0 ? { copied: shown(copied) } : {}) };
}

function readResponse(bytes: Uint8Array): Model {
  const rows: Json[] = [];
  const commands: Json[] = [];
  const errors: Json[] = [];
  const others: Json[] = [];
  let columns: { name: string; binary: boolean }[] = [];
  for (const { type, body, missing } of readMessages(bytes, 'server')) {
    const fields = new Fields(body);
    if (missing > 0) others.push({ missing });
    if (type === 'T') {
      columns = Array.from({ length: Math.min(fields.int(2), body.length) }, () => {
        const name = fields.text();
        fields.take(16); // table, column, type, size and modifier
        return { name, binary: fields.int(2) === 1 };
      });
    } else if (type === 'D') {
      const values = Array.from({ length: Math.min(fields.int(2), body.length) }, (_, at): Json => {
        const length = fields.int(4);
        return length < 0 ? null : valueOf(fields.take(length), columns[at]?.binary ?? false);
      });
      const named = columns.length === values.length && new Set(columns.map(({ name }) => name)).size === values.length;
      rows.push(named ? Object.fromEntries(values.map((value, at) => [columns[at]!.name, value])) : values);
    } else if (type === 'C') commands.push(fields.text());
    else if (type === 'E' || type === 'N') {
      // File, line and routine are the server's source code.
      errors.push(Object.fromEntries([...errorFields(body)].filter(([letter]) => !'FLR'.includes(letter))));
    } else if (type === 'Z') others.push({ transaction: shown(body) });
    else if (type !== 'K') others.push({ type, body: shown(body) });
  }
  return { rows, commands, errors, others };
}

export function compareRequests(part: string, recorded: Uint8Array, live: Uint8Array, out: Differences): boolean {
  const [a, b] = [readRequest(recorded), readRequest(live)];
  if (a.messages === '' || b.messages === '') return false;
  if (a.messages === b.messages && /^p+$/.test(String(a.messages))) out.ignore(`${part}.password`, 'a login is signed anew each time');
  else compareJson(part, a, b, out);
  return true;
}

export function compareResponses(part: string, recorded: Uint8Array, live: Uint8Array, out: Differences): boolean {
  compareJson(part, readResponse(recorded), readResponse(live), out);
  return true;
}
