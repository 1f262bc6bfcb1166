/**
 * Where the answer to a MySQL command ends: all result sets of it, one behind the other, and what a PREPARE is answered with.
 *
 * Whether EOF packets follow column definitions (CLIENT_DEPRECATE_EOF says no) is seen from the packets themselves where
 * that can be: a packet of 5 bytes that begins with 0xfe is an EOF and can't be a row. It can't be for the answer to
 * COM_STMT_PREPARE, which may end just there: then the capabilities of the login decide, or earlier result sets.
 */
import { COM, EOF, FULL, INFILE, int16, lenenc, OK, statusOf } from './mysql-fields.ts';

const MORE_RESULTS = 8, CURSOR_EXISTS = 64;

/** What comes of a packet. A file is asked for by the answer's last one. */
export type AnswerStep = 'goes on' | 'over' | 'asks for a file' | { readonly lost: string };

/** Where the answer is. */
const In = { first: 0, columns: 1, afterColumns: 2, rows: 3, parameters: 4, preparedColumns: 5, afterParameters: 6, afterPreparedColumns: 7 } as const;
type In = (typeof In)[keyof typeof In];

export class MysqlAnswer {
  /** Whether column definitions end without an EOF; undefined: not known yet (a connection older than the recorder). */
  deprecatesEof: boolean | undefined;
  private in: In = In.first;
  private columns = 0;
  private preparedColumns = 0;

  /** Another one is next. */
  begin(): void {
    this.in = In.first;
  }

  /** A packet, no error, of the answer to command `waits`: `length` bytes from `body` on, of which those up to `to` are there, by `first`, the first of them. */
  packet(waits: number, bytes: Uint8Array, body: number, to: number, length: number, first: number): AnswerStep {
    switch (waits) {
      case COM.query: case COM.execute: case COM.processInfo: case COM.bulkExecute:
        return this.resultSet(bytes, body, to, length, first);
      case COM.prepare:
        return this.prepared(bytes, body, length, first);
      case COM.fetch:
        return first === EOF && length < FULL ? this.ok(bytes, body, to) : 'goes on';
      case COM.fieldList:
        return first === EOF && length < FULL ? 'over' : 'goes on';
      default:
        return 'over';
    }
  }

  /** An OK or EOF packet: the answer's end, unless it says that another result follows. */
  ok(bytes: Uint8Array, body: number, to: number): AnswerStep {
    if ((statusOf(bytes, body, to) & MORE_RESULTS) === 0) return 'over';
    this.in = In.first;
    return 'goes on';
  }

  private resultSet(bytes: Uint8Array, body: number, to: number, length: number, first: number): AnswerStep {
    switch (this.in) {
      case In.first:
        if (first === OK) return this.ok(bytes, body, to);
        return first === INFILE ? 'asks for a file' : this.columnCount(bytes, body, length);
      case In.columns:
        if (--this.columns === 0) this.in = In.afterColumns;
        return 'goes on';
      case In.afterColumns:
        this.in = In.rows;
        if (first === EOF && length === 5) {
          this.deprecatesEof = false;
          // With a cursor open there are no rows here: they come by COM_STMT_FETCH.
          return (int16(bytes, body + 3) & CURSOR_EXISTS) !== 0 ? this.ok(bytes, body, to) : 'goes on';
        }
        this.deprecatesEof ??= true;
        return first === EOF && length < FULL ? this.ok(bytes, body, to) : 'goes on';
      default:
        return first === EOF && length < FULL ? this.ok(bytes, body, to) : 'goes on';
    }
  }

  /** The packet before the column definitions; MariaDB may add a byte: 0, none follow, for the client has cached them. */
  private columnCount(bytes: Uint8Array, body: number, length: number): AnswerStep {
    const count = lenenc(bytes, body);
    if (count === undefined || count.value === 0 || length > count.size + 1) return { lost: 'no MySQL result set' };
    this.columns = count.value;
    const follow = length === count.size || bytes[body + count.size] !== 0;
    this.in = follow ? In.columns : this.deprecatesEof === true ? In.rows : In.afterColumns;
    return 'goes on';
  }

  private prepared(bytes: Uint8Array, body: number, length: number, first: number): AnswerStep {
    switch (this.in) {
      case In.first: {
        if (first !== OK || length < 12) return { lost: 'no MySQL answer to a PREPARE' };
        this.preparedColumns = int16(bytes, body + 5);
        const parameters = int16(bytes, body + 7);
        if (parameters + this.preparedColumns > 0 && this.deprecatesEof === undefined) {
          return { lost: 'joined in mid-life: not known whether definitions end in an EOF' };
        }
        if (parameters === 0) return this.preparedColumnsNext();
        this.columns = parameters;
        this.in = In.parameters;
        return 'goes on';
      }
      case In.parameters:
        if (--this.columns > 0) return 'goes on';
        if (this.deprecatesEof === true) return this.preparedColumnsNext();
        this.in = In.afterParameters;
        return 'goes on';
      case In.afterParameters:
        return this.preparedColumnsNext();
      case In.preparedColumns:
        if (--this.columns > 0) return 'goes on';
        if (this.deprecatesEof === true) return 'over';
        this.in = In.afterPreparedColumns;
        return 'goes on';
      default:
        return 'over';
    }
  }

  private preparedColumnsNext(): AnswerStep {
    this.columns = this.preparedColumns;
    if (this.columns === 0) return 'over';
    this.in = In.preparedColumns;
    return 'goes on';
  }
}
