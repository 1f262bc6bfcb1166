/**
 * PostgreSQL's extended query protocol. The plain form of a request: for each execution Parse, Bind and Execute of the unnamed
 * statement and portal, no Describe, no result formats; its answer: 1, 2, T where the columns are known (with the formats of the
 * rows that follow), rows, completion.
 */
import { Fields, int16Bytes as int16, int32Bytes as int32, postgresqlMessage as message, readMessages, textBytes as text, type Message } from '../../protocols/postgresql-messages.ts';
import { parametersIn } from '../../protocols/sql-parameters.ts';
import type { Catalogue, LiveStatements, Pair, Prepared, RecordedStatements, Said } from './statements.ts';
import { convertRow, formatsIn, withFormats } from './postgresql-rows.ts';

interface Statement {
  readonly sql: string;
  /** Of Parse, behind the text: how many parameter types it gives, and these. */
  readonly types: Uint8Array;
  /** ParameterDescription and RowDescription, once they were seen; `n`: it returns no rows. */
  parameters?: Uint8Array;
  columns?: Uint8Array | 'n';
}

type Step =
  | { readonly type: 'P'; readonly statement: Statement }
  | { readonly type: 'B'; readonly statement: Statement; readonly portal: string; readonly values: Uint8Array; readonly formats: readonly number[] }
  | { readonly type: 'D'; readonly kind: 'S' | 'P'; readonly statement: Statement | undefined; readonly formats: readonly number[] }
  | { readonly type: 'E'; readonly statement: Statement | undefined; readonly formats: readonly number[]; readonly portal: string; readonly maxRows: number }
  | { readonly type: 'C' | 'S' | 'H' };

const EMPTY = new Uint8Array(0);
/** A message's type and length. */
const MESSAGE_HEAD = 5;
const raw = (type: string, body: Uint8Array): Buffer => message(type, body);

/** The statements of one connection by name, and what a request does with them. */
class Names {
  readonly #statements = new Map<string, Statement>();

  /** The request's steps; undefined where it is none of the extended protocol, or names what is not known. */
  steps(request: Uint8Array): Step[] | undefined {
    const steps: Step[] = [];
    const portals = new Map<string, Extract<Step, { type: 'B' }>>();
    for (const one of readMessages(request, 'client')) {
      const step = one.missing > 0 ? undefined : this.#step(one, portals);
      if (step === undefined) return undefined;
      steps.push(step);
    }
    return steps;
  }

  #step({ type, body }: Message, portals: Map<string, Extract<Step, { type: 'B' }>>): Step | undefined {
    const fields = new Fields(body);
    switch (type) {
      case 'P': {
        const name = fields.text();
        const sql = fields.text();
        const known = this.#statements.get(name);
        const types = fields.take(fields.left);
        const statement = known?.sql === sql && name === '' && Buffer.compare(known.types, types) === 0 ? known : { sql, types };
        this.#statements.set(name, statement);
        return { type: 'P', statement };
      }
      case 'B': {
        const portal = fields.text();
        const statement = this.#statements.get(fields.text());
        if (statement === undefined) return undefined;
        const from = fields.left;
        fields.take(2 * Math.max(0, fields.int(2)));
        for (let left = fields.int(2); left > 0 && fields.whole; left -= 1) fields.take(Math.max(0, fields.int(4)));
        const values = body.subarray(body.length - from, body.length - fields.left);
        const formats = Array.from({ length: Math.max(0, Math.min(fields.int(2), fields.left / 2)) }, () => fields.int(2));
        const step = { type: 'B', statement, portal, values, formats } as const;
        portals.set(portal, step);
        return fields.whole ? step : undefined;
      }
      case 'D': {
        const kind = String.fromCharCode(fields.int(1)) as 'S' | 'P';
        const name = fields.text();
        const bound = portals.get(name);
        const statement = kind === 'S' ? this.#statements.get(name) : bound?.statement;
        return statement === undefined ? undefined : { type: 'D', kind, statement, formats: kind === 'S' ? [] : bound?.formats ?? [] };
      }
      case 'E': {
        const portal = fields.text();
        const bound = portals.get(portal);
        // A portal of an earlier request: more of its rows. That leans on the connection in a way that is not undone here.
        return bound === undefined ? undefined : { type: 'E', statement: bound.statement, formats: bound.formats, portal, maxRows: fields.int(4) };
      }
      case 'C':
        if (fields.int(1) === 0x53) this.#statements.delete(fields.text());
        return { type: 'C' };
      case 'S': case 'H': return { type };
      default: return undefined;
    }
  }

  /**
   * A simple query without the Closes before it, and how many these are: no Sync ends them, so they are of its request. pgjdbc says
   * them of statements that were garbage-collected, when it next has something to ask.
   */
  afterCloses(request: Uint8Array): { readonly query: Uint8Array; readonly closes: number } {
    const closes: Message[] = [];
    let at = 0;
    for (const one of readMessages(request, 'client')) {
      if (one.type !== 'C' || one.missing > 0) {
        if (one.type !== 'Q') break;
        for (const close of closes) this.#step(close, new Map());
        return { query: request.subarray(at), closes: closes.length };
      }
      closes.push(one);
      at += MESSAGE_HEAD + one.body.length;
    }
    return { query: request, closes: 0 };
  }

  /** `DEALLOCATE name`, `DEALLOCATE ALL`: true where the request is one. */
  deallocates(request: Uint8Array): boolean {
    const sql = request[0] === 0x51 ? new Fields(request.subarray(5)).text() : '';
    const name = /^\s*(?:DEALLOCATE(?:\s+PREPARE)?\s+("[^"]+"|\w+)|DISCARD\s+ALL)\s*;?\s*$/i.exec(sql);
    if (name === null) return false;
    if (name[1] === undefined || name[1].toUpperCase() === 'ALL') this.#statements.clear();
    else this.#statements.delete(name[1].replaceAll('"', ''));
    return name[1] !== undefined;
  }
}

function plainRequest(steps: readonly Step[]): Buffer {
  return Buffer.concat(steps.flatMap((step) => {
    if (step.type === 'B') {
      const portal = isOneShot(steps, step.portal) ? '' : step.portal;
      return [message('P', Buffer.concat([text(''), text(step.statement.sql), step.statement.types])),
        message('B', Buffer.concat([text(portal), text(''), step.values, int16(0)]))];
    }
    if (step.type === 'E') return [message('E', Buffer.concat([text(isOneShot(steps, step.portal) ? '' : step.portal), int32(step.maxRows)]))];
    return step.type === 'S' || step.type === 'H' ? [message(step.type, EMPTY)] : [];
  }));
}

/** Its rows are all fetched within the request: its name means nothing. */
const isOneShot = (steps: readonly Step[], portal: string): boolean => steps.every((step) => step.type !== 'E' || step.portal !== portal || step.maxRows === 0);

const executes = (steps: readonly Step[]): boolean => steps.some(({ type }) => type === 'E');
const agrees = (steps: readonly Step[]): boolean => steps.every(({ type }) => type !== 'E' && type !== 'B');
/** A statement of nothing, or of comments (pgx's `-- ping`): how pools ask whether a connection lives, by their own clock. */
const isNothing = (sql: string): boolean => /^(?:[\s;]|--[^\n]*(?:\n|$)|\/\*[^]*?\*\/)*$/.test(sql);
const asksForLife = (steps: readonly Step[]): boolean => executes(steps) && steps.every((step) => step.type !== 'B' || isNothing(step.statement.sql));
const isEmptyQuery = (request: Uint8Array): boolean => request[0] === 0x51 && isNothing(new Fields(request.subarray(5)).text());

/** An answer without the CloseCompletes that it begins with, at most so many. */
function withoutCloses(response: Uint8Array, closes: number): Uint8Array {
  let at = 0;
  for (const { type } of readMessages(response, 'server')) {
    if (type !== '3' || at === closes * MESSAGE_HEAD) break;
    at += MESSAGE_HEAD;
  }
  return response.subarray(at);
}

/** Messages that the server sends unasked, in the middle of anything. */
const UNASKED = new Set(['N', 'A', 'S']);

export class RecordedPostgresql implements RecordedStatements {
  readonly #names = new Names();
  readonly #known = new Map<string, Statement>();

  get prepared(): Iterable<Prepared> {
    return [...this.#known.values()].map(({ sql, parameters, columns }) => ({
      protocol: 'postgresql', sql,
      answer: Buffer.concat([message('1', EMPTY), ...parameters === undefined ? [] : [message('t', parameters)],
        ...columns === undefined ? [] : [columns === 'n' ? message('n', EMPTY) : message('T', columns)]]),
    }));
  }

  read(whole: Pair): Pair | undefined {
    const { query, closes } = this.#names.afterCloses(whole.request);
    const talk = closes === 0 ? whole : { request: query, response: withoutCloses(whole.response, closes) };
    if (this.#names.deallocates(talk.request) || isEmptyQuery(talk.request)) return undefined;
    const steps = this.#names.steps(talk.request);
    if (steps === undefined || steps.length === 0) return talk;
    if (asksForLife(steps)) return undefined;
    const response = this.#plainResponse(steps, [...readMessages(talk.response, 'server')]);
    for (const step of steps) if (step.type === 'P') this.#remember(step.statement);
    // A preparation that failed is a call: the client saw that.
    if (agrees(steps)) return response.some(({ type }) => type === 'E') ? talk : undefined;
    if (!executes(steps)) return talk;
    return { request: plainRequest(steps), response: Buffer.concat(response.map(({ type, body }) => raw(type, body))) };
  }

  /** What is known of a text is kept, whichever statement taught it. */
  #remember(statement: Statement): void {
    const known = this.#known.get(statement.sql);
    if (known === undefined) this.#known.set(statement.sql, statement);
    else {
      known.parameters ??= statement.parameters!;
      known.columns ??= statement.columns!;
    }
  }

  /** Walks the answer along the request's steps; notes what it says of the statements. */
  #plainResponse(steps: readonly Step[], answer: readonly Message[]): { type: string; body: Uint8Array }[] {
    const out: { type: string; body: Uint8Array }[] = [];
    let at = 0;
    const take = (...types: string[]): Message | undefined => {
      while (at < answer.length && UNASKED.has(answer[at]!.type)) out.push(answer[at++]!);
      return at < answer.length && types.includes(answer[at]!.type) ? answer[at++] : undefined;
    };
    for (const step of steps) {
      if (step.type === 'P') take('1');
      else if (step.type === 'B') {
        const bound = take('2');
        if (bound === undefined) continue;
        out.push({ type: '1', body: EMPTY }, bound);
      } else if (step.type === 'D') {
        const parameters = step.kind === 'S' ? take('t') : undefined;
        const columns = take('T', 'n');
        if (step.statement === undefined) continue;
        if (parameters !== undefined) step.statement.parameters = parameters.body;
        if (columns !== undefined) step.statement.columns = columns.type === 'n' ? 'n' : withFormats(columns.body, []);
      } else if (step.type === 'E') {
        // A plain form's own T stands here, no Describe having asked for it.
        const own = take('T');
        if (own !== undefined && step.statement !== undefined) step.statement.columns = withFormats(own.body, []);
        const columns = step.statement?.columns ?? this.#known.get(step.statement?.sql ?? '')?.columns;
        if (own !== undefined) out.push(own);
        else if (columns !== undefined && columns !== 'n') out.push({ type: 'T', body: withFormats(columns, step.formats) });
        for (let row = take('D'); row !== undefined; row = take('D')) out.push(row);
        const end = take('C', 'I', 's');
        if (end !== undefined) out.push(end);
      } else if (step.type === 'C') take('3');
    }
    // What is left: an error, ReadyForQuery, and whatever was not foreseen.
    return [...out, ...answer.slice(at)];
  }
}

export class LivePostgresql implements LiveStatements {
  readonly #names = new Names();
  readonly #catalogue: Catalogue;
  /** As ReadyForQuery said last: I, T (in a transaction), E (in one that failed). */
  #status: Uint8Array = Buffer.from('I');

  constructor(catalogue: Catalogue) {
    this.#catalogue = catalogue;
  }

  read(request: Uint8Array): Said {
    const { query, closes } = this.#names.afterCloses(request);
    if (closes === 0) return this.#read(request);
    const closed = Buffer.concat(Array.from({ length: closes }, () => message('3', EMPTY)));
    const said = this.#read(query);
    if ('settled' in said) return { settled: Buffer.concat([closed, said.settled]) };
    return { plain: said.plain, tell: (answer, missed) => Buffer.concat([closed, said.tell(answer, missed)]) };
  }

  #read(request: Uint8Array): Said {
    if (this.#names.deallocates(request)) return { settled: Buffer.concat([message('C', text('DEALLOCATE')), message('Z', this.#status)]) };
    if (isEmptyQuery(request)) return { settled: Buffer.concat([message('I', EMPTY), message('Z', this.#status)]) };
    const steps = this.#names.steps(request);
    if (steps === undefined || steps.length === 0 || !(agrees(steps) || executes(steps))) {
      return { plain: request, tell: (answer, missed) => this.#heard(answer, missed) };
    }
    if (agrees(steps) || asksForLife(steps)) return { settled: Buffer.concat(this.#agreement(steps)) };
    return { plain: plainRequest(steps), tell: (answer, missed) => this.#heard(missed ? answer : tellLive(steps, answer, (sql) => this.#known(sql)), missed) };
  }

  /** Remembers the transaction's state; an error of ours leaves a transaction failed, as a server's would. */
  #heard(answer: Uint8Array, missed: boolean): Uint8Array {
    if (answer.length < 6 || answer.at(-6) !== 0x5a || answer.at(-2) !== 5) return answer;
    if (missed && this.#status[0] !== 0x49) {
      this.#status = Buffer.from('E');
      return Buffer.concat([answer.subarray(0, -1), this.#status]);
    }
    this.#status = Buffer.from(answer.subarray(-1));
    return answer;
  }

  #agreement(steps: readonly Step[]): Buffer[] {
    return steps.flatMap((step) => {
      if (step.type === 'P') return [message('1', EMPTY)];
      if (step.type === 'B') return [message('2', EMPTY)];
      if (step.type === 'E') return [message('I', EMPTY)];
      if (step.type === 'D' && step.statement !== undefined) return described(step, this.#known(step.statement.sql));
      if (step.type === 'C') return [message('3', EMPTY)];
      return step.type === 'S' ? [message('Z', this.#status)] : [];
    });
  }

  #known(sql: string): Known {
    const known: Known = {};
    for (const { type, body } of readMessages(this.#catalogue.find(sql)?.answer ?? EMPTY, 'server')) {
      if (type === 't') known.parameters = body;
      if (type === 'T') known.columns = body;
      if (type === 'n') known.columns = 'n';
    }
    return known;
  }
}

type Known = Pick<Statement, 'parameters' | 'columns'>;

/** ParameterDescription and RowDescription, or NoData. */
function described(step: Extract<Step, { type: 'D' }>, { parameters, columns }: Known): Buffer[] {
  const sql = step.statement?.sql ?? '';
  return [
    ...step.kind === 'S' ? [message('t', parameters ?? guessedTypes(sql, step.statement?.types ?? EMPTY))] : [],
    columns === undefined || columns === 'n' ? message('n', EMPTY) : message('T', withFormats(columns, step.formats)),
  ];
}

/** The types that Parse gave, else 0, not known: of a statement that was never described. */
function guessedTypes(sql: string, given: Uint8Array): Buffer {
  const count = parametersIn(sql);
  const fields = new Fields(given);
  const types = Array.from({ length: Math.max(0, fields.int(2)) }, () => fields.int(4));
  return Buffer.concat([int16(count), ...Array.from({ length: count }, (_, at) => int32(types[at] ?? 0))]);
}

/** The answer to the plain form, told along the steps that this client took. */
function tellLive(steps: readonly Step[], plain: Uint8Array, known: (sql: string) => Known): Uint8Array {
  const answer = [...readMessages(plain, 'server')];
  const out: Buffer[] = [];
  let at = 0;
  const copy = ({ type, body }: Message): void => { out.push(raw(type, body)); };
  const take = (...types: string[]): Message | undefined => {
    for (; at < answer.length && UNASKED.has(answer[at]!.type); at += 1) copy(answer[at]!);
    return at < answer.length && types.includes(answer[at]!.type) ? answer[at++] : undefined;
  };
  for (const [index, step] of steps.entries()) {
    const next = answer.slice(at).find(({ type }) => !UNASKED.has(type))?.type;
    // An error before this execution was bound: nothing is answered to what the client said behind it.
    if (next === 'E' && step.type !== 'S') break;
    if (step.type === 'P') out.push(message('1', EMPTY));
    else if (step.type === 'B') {
      take('1');
      const bound = take('2');
      if (bound !== undefined) copy(bound);
    } else if (step.type === 'D') {
      const columns = answer.slice(at).find(({ type }) => !UNASKED.has(type) && type !== '1' && type !== '2');
      const own = columns?.type === 'T' && step.statement === nextExecuted(steps, index) ? { columns: columns.body } : {};
      out.push(...described(step, { ...known(step.statement?.sql ?? ''), ...own }));
    } else if (step.type === 'E') {
      const columns = take('T')?.body;
      const formats = columns === undefined ? [] : formatsIn(columns);
      for (let row = take('D'); row !== undefined; row = take('D')) {
        const converted = columns === undefined ? row.body : convertRow(row.body, columns, formats, step.formats);
        if (typeof converted === 'string') return cannotTell(converted, answer);
        out.push(raw('D', converted));
      }
      const end = take('C', 'I', 's');
      if (end !== undefined) copy(end);
    } else if (step.type === 'C') out.push(message('3', EMPTY));
  }
  for (const left of answer.slice(at)) copy(left);
  return Buffer.concat(out);
}

const nextExecuted = (steps: readonly Step[], from: number): Statement | undefined => steps.slice(from).flatMap((step) => (step.type === 'E' && step.statement ? [step.statement] : []))[0];

/** The recorded rows are in one format, the client wants the other, and this type's values are not converted. */
function cannotTell(why: string, answer: readonly Message[]): Buffer {
  const status = answer.findLast(({ type }) => type === 'Z')?.body ?? Buffer.from('I');
  return Buffer.concat([message('E', Buffer.from(`SERROR\0VERROR\0C58000\0Mkoala-bpf: ${why}\0\0`)), message('Z', status)]);
}

