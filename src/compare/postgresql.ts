/** PostgreSQL: requests by statement text and parameters, answers by rows and errors. */
import { errorFields, Fields, readMessages } from '../protocols/postgresql-messages.ts';
import type { Message } from '../protocols/postgresql-messages.ts';
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

/** So many items as a count before them says; a count that can't be right reads as none, and leaves bytes over. */
function counted<T>(fields: Fields, item: (at: number) => T): T[] {
  const count = fields.int(2);
  return Array.from({ length: count > 0 && count <= fields.left ? count : 0 }, (_, at) => item(at));
}

interface Bound {
  readonly portal: string;
  readonly prepared: string;
  readonly parameters: Json[];
  readonly resultFormats: number[];
}

function bound(fields: Fields): Bound {
  const portal = fields.text();
  const prepared = fields.text();
  const formats = counted(fields, () => fields.int(2));
  const parameters = counted(fields, (at): Json => {
    const length = fields.int(4);
    const binary = (formats.length === 1 ? formats[0] : formats[at]) === 1;
    return length < 0 ? null : valueOf(fields.take(length), binary);
  });
  return { portal, prepared, parameters, resultFormats: counted(fields, () => fields.int(2)) };
}

/** What a request asks, step by step. */
class Request {
  readonly steps: Model[] = [];
  private messages = '';
  private readonly copied: Uint8Array[] = [];
  /** Names that this request itself gave: they mean nothing beyond it. */
  private readonly statements = new Map<string, Model>();
  private readonly portals = new Set<string>();

  add({ type, body, missing }: Message): void {
    const fields = new Fields(body);
    const before = this.steps.length;
    if (type === 'd') this.copied.push(body);
    else this.messages += type === 'startup' ? '0' : type;
    this.read(type, fields, body);
    if (missing > 0 || type === 'rest' || (DECODED.has(type) && (!fields.whole || fields.left > 0))) {
      this.steps.splice(before);
      this.steps.push({ unread: shown(body), missing });
    }
  }

  private read(type: string, fields: Fields, body: Uint8Array): void {
    switch (type) {
      case 'Q':
        this.steps.push({ statement: fields.text() });
        return;
      case 'P': {
        const name = fields.text();
        const statement = fields.text();
        const types = counted(fields, () => fields.int(4));
        const step: Model = { statement, ...(types.length > 0 ? { types } : {}) };
        this.statements.set(name, step);
        this.steps.push(step);
        return;
      }
      case 'B': {
        const { portal, prepared, parameters, resultFormats } = bound(fields);
        this.portals.add(portal);
        const own = this.statements.get(prepared);
        if (own !== undefined && own === this.steps.at(-1) && !('parameters' in own)) Object.assign(own, { parameters, resultFormats });
        else this.steps.push({ ...(own === undefined ? { prepared } : { of: [...this.statements.keys()].indexOf(prepared) }), parameters, resultFormats });
        return;
      }
      case 'D': case 'C': {
        const kind = String.fromCharCode(fields.int(1));
        const name = fields.text();
        const own = kind === 'S' ? this.statements.has(name) : kind === 'P' && this.portals.has(name);
        if (!own) this.steps.push({ [type === 'D' ? 'describe' : 'close']: `${kind} ${name}` });
        else if (kind === 'S' && type === 'D') this.steps.push({ describe: 'the statement' });
        return;
      }
      case 'E': {
        const portal = fields.text();
        const maxRows = fields.int(4);
        if (!this.portals.has(portal)) this.steps.push({ portal, maxRows });
        else if (maxRows !== 0) this.steps.push({ maxRows });
        return;
      }
      case 'd': case 'S': case 'H': case 'c': case 'X': return;
      default: this.steps.push({ [type]: shown(body) });
    }
  }

  /**
   * `messages` is the sequence of message types: an answer to `PBDES` is another one than to `BES`. A single step's fields stand
   * by themselves: `request.statement`.
   */
  model(): Model {
    const [only] = this.steps;
    const steps = this.steps.length === 1 && only !== undefined ? only : this.steps.length === 0 ? {} : { steps: this.steps };
    return { messages: this.messages, ...steps, ...(this.copied.length > 0 ? { copied: shown(Buffer.concat(this.copied)) } : {}) };
  }
}

const DECODED = new Set([...'QPBDCE']);

function readRequest(bytes: Uint8Array): Model {
  const request = new Request();
  for (const message of readMessages(bytes, 'client')) request.add(message);
  return request.model();
}

/** The request as a value, a login's signature left out; undefined when it can't be read. */
export function requestModel(bytes: Uint8Array): Json | undefined {
  const model = readRequest(bytes);
  if (model['messages'] === '') return undefined;
  return isPassword(model) ? { messages: model['messages']! } : model;
}

const isPassword = ({ messages }: Model): boolean => /^p+$/.test(String(messages));

/** Left out: which table and column of the server's catalogue a result comes from, and what the key of a cancel request is. */
function readResponse(bytes: Uint8Array): Model {
  const rows: Json[] = [];
  const commands: Json[] = [];
  const errors: Json[] = [];
  const others: Json[] = [];
  const described: Model[] = [];
  let columns: { name: string; type: number; size: number; modifier: number; binary: boolean }[] = [];
  for (const { type, body, missing } of readMessages(bytes, 'server')) {
    const fields = new Fields(body);
    if (missing > 0) others.push({ missing });
    if (type === 'T') {
      columns = counted(fields, () => {
        const name = fields.text();
        fields.take(6); // table and column
        return { name, type: fields.int(4), size: fields.int(2), modifier: fields.int(4), binary: fields.int(2) === 1 };
      });
      described.push(...columns);
    } else if (type === 'D') {
      const values = counted(fields, (at): Json => {
        const length = fields.int(4);
        return length < 0 ? null : valueOf(fields.take(length), columns[at]?.binary ?? false);
      });
      const named = columns.length === values.length && new Set(columns.map(({ name }) => name)).size === values.length;
      rows.push(named ? Object.fromEntries(values.map((value, at) => [columns[at]!.name, value])) : values);
      if (!fields.whole || fields.left > 0) others.push({ unread: shown(body) });
    } else if (type === 'C') commands.push(fields.text());
    else if (type === 'E' || type === 'N') {
      // File, line and routine are the server's source code.
      errors.push(Object.fromEntries([...errorFields(body)].filter(([letter]) => !'FLR'.includes(letter))));
    } else if (type === 'Z') others.push({ transaction: shown(body) });
    else if (type !== 'K') others.push({ type, body: shown(body) });
  }
  return { columns: described, rows, commands, errors, others };
}

export function compareRequests(part: string, recorded: Uint8Array, live: Uint8Array, out: Differences): boolean {
  const [a, b] = [readRequest(recorded), readRequest(live)];
  if (a.messages === '' || b.messages === '') return false;
  if (a.messages === b.messages && isPassword(a)) out.ignore(`${part}.password`, 'a login is signed anew each time');
  else compareJson(part, a, b, out);
  return true;
}

export function compareResponses(part: string, recorded: Uint8Array, live: Uint8Array, out: Differences): boolean {
  compareJson(part, readResponse(recorded), readResponse(live), out);
  return true;
}
