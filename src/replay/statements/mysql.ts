/**
 * MySQL's prepared statements (COM_STMT_*). The plain form of an execution: COM_STMT_PREPARE with the text, long data, then the
 * command, all with statement id 0 and the parameters' types always there; its answer: that of the preparation, then the command's.
 */
import { COM } from '../../protocols/mysql-fields.ts';
import { mysqlOk, mysqlPacket, readPackets, type Packet } from '../../protocols/mysql-packets.ts';
import { parametersIn } from '../../protocols/sql-parameters.ts';
import type { Catalogue, LiveStatements, Pair, Prepared, RecordedStatements, Said } from './statements.ts';

const COM_STMT_RESET = 26, COM_PING = 14;
/** MariaDB: the statement that was prepared last. */
const LAST = 0xffffffff;
const BY_ID = new Set<number>([COM.execute, COM.fetch, COM.bulkExecute]);
const NOTHING = new Uint8Array(0);
const OK = mysqlOk(1);

interface Statement {
  readonly sql: string;
  /** The whole answer to its preparation, its id 0. */
  readonly answer: Uint8Array;
  readonly parameters: number;
  /** Of the last execution that gave them. */
  types: Uint8Array | undefined;
  /** COM_STMT_SEND_LONG_DATA since the last execution, their ids 0. */
  longData: Uint8Array[];
}

const idOf = (body: Uint8Array): number => (body.length < 5 ? -1 : Buffer.from(body.buffer, body.byteOffset).readUInt32LE(1));

/** With another statement id: it stands after the command, and after the OK of an answer. */
function withId(body: Uint8Array, id: number): Buffer {
  const copy = Buffer.from(body);
  copy.writeUInt32LE(id >>> 0, 1);
  return copy;
}

const sqlOf = ({ body }: Packet): string => Buffer.from(body.subarray(1)).toString('latin1');

/** The statements of one connection, by their ids. */
class Table {
  readonly #byId = new Map<number, Statement>();
  #last = -1;

  add(id: number, sql: string, answer: Uint8Array): void {
    this.#byId.set(id, { sql, answer, parameters: Buffer.from(answer.buffer, answer.byteOffset).readUInt16LE(4 + 7), types: undefined, longData: [] });
    this.#last = id;
  }

  get(id: number): Statement | undefined {
    return this.#byId.get(id === LAST ? this.#last : id);
  }

  delete(id: number): void {
    this.#byId.delete(id);
  }

  clear(): void {
    this.#byId.clear();
  }

  /** The plain form of a command that names a statement. */
  plain(statement: Statement, { body }: Packet): Buffer {
    const command = body[0] === COM.execute ? withTypes(withId(body, 0), statement) : withId(body, 0);
    const longData = statement.longData.splice(0);
    return Buffer.concat([mysqlPacket(0, Buffer.concat([Buffer.from([COM.prepare]), Buffer.from(statement.sql, 'latin1')])), ...longData, mysqlPacket(0, command)]);
  }
}

/** COM_STMT_EXECUTE: id, flags, iteration count, a bitmap of NULLs, 1 and the types or 0, the values. */
function withTypes(body: Buffer, statement: Statement): Buffer {
  if (statement.parameters === 0) return body;
  const bound = 10 + Math.ceil(statement.parameters / 8);
  const typesLength = 2 * statement.parameters;
  if (body[bound] === 1) {
    statement.types = Buffer.from(body.subarray(bound + 1, bound + 1 + typesLength));
    return body;
  }
  if (statement.types === undefined || body[bound] !== 0) return body;
  return Buffer.concat([body.subarray(0, bound), Buffer.from([1]), statement.types, body.subarray(bound + 1)]);
}

/** What has the same effect on the table, recorded or live; undefined: the packet is none that concerns statements. */
function agreement({ body }: Packet, table: Table): 'settled' | undefined {
  switch (body[0]) {
    case COM.closeStatement:
      table.delete(idOf(body));
      return 'settled';
    case COM.longData:
      table.get(idOf(body))?.longData.push(mysqlPacket(0, withId(body, 0)));
      return 'settled';
    // How pools ask whether a connection lives, by their own clock.
    case COM_PING: return 'settled';
    case COM_STMT_RESET: {
      const statement = table.get(idOf(body));
      if (statement !== undefined) statement.longData = [];
      return 'settled';
    }
    case COM.changeUser: case COM.resetConnection:
      table.clear();
      return undefined;
    default: return undefined;
  }
}

/** The one packet of a request that is a command; undefined for logins, uploads, and plain forms. */
function commandOf(request: Uint8Array): Packet | undefined {
  const packets = [...readPackets(request)];
  const [only] = packets;
  return packets.length === 1 && only?.sequence === 0 && only.missing === 0 && only.body.length > 0 ? only : undefined;
}

export class RecordedMysql implements RecordedStatements {
  readonly #table = new Table();
  readonly #prepared = new Map<string, Prepared>();

  get prepared(): Iterable<Prepared> {
    return this.#prepared.values();
  }

  read(talk: Pair): Pair | undefined {
    const command = commandOf(talk.request);
    if (command === undefined) return talk;
    if (command.body[0] === COM.prepare) return this.#prepare(sqlOf(command), talk);
    if (agreement(command, this.#table) !== undefined) return undefined;
    const statement = BY_ID.has(command.body[0] ?? 0) ? this.#table.get(idOf(command.body)) : undefined;
    if (statement === undefined) return talk;
    return { request: this.#table.plain(statement, command), response: Buffer.concat([statement.answer, talk.response]) };
  }

  /** One that failed is a call: the client saw that. */
  #prepare(sql: string, talk: Pair): Pair | undefined {
    const [first] = readPackets(talk.response);
    if (first === undefined || first.body[0] !== 0 || first.body.length < 9) return talk;
    const answer = Buffer.concat([talk.response]);
    answer.writeUInt32LE(0, 5);
    this.#table.add(idOf(first.body), sql, answer);
    this.#prepared.set(sql, { protocol: 'mysql', sql, answer });
    return undefined;
  }
}

export class LiveMysql implements LiveStatements {
  readonly #table = new Table();
  readonly #catalogue: Catalogue;
  #nextId = 1;

  constructor(catalogue: Catalogue) {
    this.#catalogue = catalogue;
  }

  read(request: Uint8Array): Said {
    const command = commandOf(request);
    if (command === undefined) return { plain: request, tell: (answer) => answer };
    if (command.body[0] === COM.prepare) return { settled: this.#prepare(sqlOf(command)) };
    if (agreement(command, this.#table) !== undefined) return { settled: command.body[0] === COM_STMT_RESET || command.body[0] === COM_PING ? OK : NOTHING };
    const statement = BY_ID.has(command.body[0] ?? 0) ? this.#table.get(idOf(command.body)) : undefined;
    if (statement === undefined) return { plain: request, tell: (answer) => answer };
    return { plain: this.#table.plain(statement, command), tell: (answer, missed) => (missed ? answer : withoutPreparation(answer)) };
  }

  /** An unknown statement is prepared too: what the report should show is its execution, with the values. */
  #prepare(sql: string): Uint8Array {
    const known = this.#catalogue.find(sql)?.answer ?? unknownPrepared(sql);
    const id = this.#nextId++;
    this.#table.add(id, sql, known);
    const answer = Buffer.from(known);
    answer.writeUInt32LE(id, 5);
    return answer;
  }
}

/** The command's own answer begins anew with sequence number 1. */
function withoutPreparation(answer: Uint8Array): Uint8Array {
  let at = 0;
  for (let firsts = 0; at + 4 <= answer.length;) {
    const length = answer[at]! | answer[at + 1]! << 8 | answer[at + 2]! << 16;
    if (answer[at + 3] === 1) firsts += 1;
    if (firsts === 2) return answer.subarray(at);
    at += 4 + length;
  }
  return answer;
}

/** COM_STMT_PREPARE_OK without a word on parameters and columns but their count. */
function unknownPrepared(sql: string): Uint8Array {
  const parameters = parametersIn(sql);
  const body = Buffer.alloc(12);
  body.writeUInt16LE(parameters, 7);
  const definition = Buffer.concat([Buffer.from('\x03def\0\0\0\x01?\0\x0c\x3f\0', 'latin1'), Buffer.alloc(4), Buffer.from([0xfd, 0x80, 0, 0, 0, 0])]);
  const definitions = Array.from({ length: parameters }, (_, at) => mysqlPacket(2 + at, definition));
  const end = parameters === 0 ? [] : [mysqlPacket(2 + parameters, Buffer.from([0xfe, 0, 0, 2, 0]))];
  return Buffer.concat([mysqlPacket(1, body), ...definitions, ...end]);
}
