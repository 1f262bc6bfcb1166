/** Rows of PostgreSQL in the format that a client wants: its columns' formats are the client's choice, execution by execution. */
import { Fields } from '../../protocols/postgresql-messages.ts';
import { converted } from './postgresql-values.ts';

interface Column {
  readonly name: string;
  readonly type: number;
  /** Where in RowDescription the column's format stands. */
  readonly formatAt: number;
  readonly format: number;
}

function columnsOf(description: Uint8Array): Column[] {
  const fields = new Fields(description);
  const count = fields.int(2);
  const columns: Column[] = [];
  while (columns.length < count && fields.whole) {
    const name = fields.text();
    fields.take(6);
    const type = fields.int(4);
    fields.take(6);
    const formatAt = description.length - fields.left;
    columns.push({ name, type, formatAt, format: fields.int(2) });
  }
  return fields.whole ? columns : [];
}

/** As Bind gives them: none (all text), one (for all), or one a column. */
const formatOf = (formats: readonly number[], at: number): number => (formats.length === 1 ? formats[0] : formats[at]) ?? 0;

/** The RowDescription with these formats. */
export function withFormats(description: Uint8Array, formats: readonly number[]): Buffer {
  const copy = Buffer.from(description);
  columnsOf(description).forEach(({ formatAt }, at) => { copy.writeInt16BE(formatOf(formats, at), formatAt); });
  return copy;
}

export const formatsIn = (description: Uint8Array): number[] => columnsOf(description).map(({ format }) => format);

/** A DataRow from one set of formats in another; a text: why it can't be. */
export function convertRow(row: Uint8Array, description: Uint8Array, from: readonly number[], to: readonly number[]): Uint8Array | string {
  const columns = columnsOf(description);
  if (columns.every((_, at) => formatOf(from, at) === formatOf(to, at))) return row;
  const fields = new Fields(row);
  const count = fields.int(2);
  const parts: Uint8Array[] = [row.subarray(0, 2)];
  for (let at = 0; at < count; at += 1) {
    const length = fields.int(4);
    const value = fields.take(Math.max(0, length));
    const column = columns[at];
    const told = length < 0 || column === undefined || formatOf(from, at) === formatOf(to, at) ? value : converted(value, column.type, formatOf(to, at) === 1);
    if (told === undefined) return `column ${column?.name ?? at} (type ${column?.type ?? 0}) was recorded as ${formatOf(from, at) === 1 ? 'binary' : 'text'}, and is asked for the other way`;
    const head = Buffer.alloc(4);
    head.writeInt32BE(length < 0 ? -1 : told.length);
    parts.push(head, told);
  }
  return Buffer.concat(parts);
}
