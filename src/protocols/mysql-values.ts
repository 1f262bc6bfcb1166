/** The values of COM_STMT_EXECUTE (MySQL Internals, "Binary Protocol Value"). */

/** `hex`: a type whose bytes are not read further (dates and times). */
export type Value = null | string | { readonly hex: string };

const UNSIGNED = 0x80;
/** Of the types with a size of their own: how they are read. Others are length-encoded texts. */
const NUMBERS: Readonly<Record<number, { readonly bytes: number; read(view: DataView, at: number, unsigned: boolean): string }>> = {
  1: { bytes: 1, read: (view, at, unsigned) => String(unsigned ? view.getUint8(at) : view.getInt8(at)) },
  2: { bytes: 2, read: (view, at, unsigned) => String(unsigned ? view.getUint16(at, true) : view.getInt16(at, true)) },
  3: { bytes: 4, read: (view, at, unsigned) => String(unsigned ? view.getUint32(at, true) : view.getInt32(at, true)) },
  4: { bytes: 4, read: (view, at) => String(view.getFloat32(at, true)) },
  5: { bytes: 8, read: (view, at) => String(view.getFloat64(at, true)) },
  8: { bytes: 8, read: (view, at, unsigned) => String(unsigned ? view.getBigUint64(at, true) : view.getBigInt64(at, true)) },
  9: { bytes: 4, read: (view, at, unsigned) => String(unsigned ? view.getUint32(at, true) : view.getInt32(at, true)) },
  13: { bytes: 2, read: (view, at) => String(view.getUint16(at, true)) },
};
const NULL = 6;
const TIMES = new Set([7, 10, 11, 12]);

/** The values of an execution with `count` parameters that says their types; undefined where the packet is made otherwise. `body`: the command included. */
export function readParameters(body: Uint8Array, count: number): Value[] | undefined {
  const bitmap = 10;
  const types = bitmap + Math.ceil(count / 8) + 1;
  if (count === 0) return body.length === bitmap ? [] : undefined;
  if (body[types - 1] !== 1) return undefined;
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const values: Value[] = [];
  let at = types + 2 * count;
  for (let index = 0; index < count; index += 1) {
    const type = body[types + 2 * index];
    if (type === undefined) return undefined;
    if (type === NULL || ((body[bitmap + (index >> 3)] ?? 0) >> (index & 7) & 1) === 1) {
      values.push(null);
      continue;
    }
    const number = NUMBERS[type];
    const head = number === undefined ? lengthAt(body, at) : { length: number.bytes, size: 0 };
    if (head === undefined || at + head.size + head.length > body.length) return undefined;
    at += head.size;
    const bytes = body.subarray(at, at + head.length);
    if (number !== undefined) values.push(number.read(view, at, ((body[types + 2 * index + 1] ?? 0) & UNSIGNED) !== 0));
    else values.push(TIMES.has(type) ? { hex: Buffer.from(bytes).toString('hex') } : text(bytes));
    at += head.length;
  }
  return at === body.length ? values : undefined;
}

/** Never ambiguous: what is no UTF-8 is shown in hexadecimal. */
function text(bytes: Uint8Array): Value {
  const said = Buffer.from(bytes).toString('utf8');
  return said.includes('\ufffd') ? { hex: Buffer.from(bytes).toString('hex') } : said;
}

function lengthAt(body: Uint8Array, at: number): { length: number; size: number } | undefined {
  const first = body[at];
  if (first === undefined) return undefined;
  if (first < 0xfb) return { length: first, size: 1 };
  const size = first === 0xfc ? 2 : first === 0xfd ? 3 : first === 0xfe ? 8 : 0;
  if (size === 0 || at + 1 + size > body.length) return undefined;
  let length = 0;
  for (let byte = size; byte > 0; byte -= 1) length = length * 256 + body[at + byte]!;
  return { length, size: size + 1 };
}
