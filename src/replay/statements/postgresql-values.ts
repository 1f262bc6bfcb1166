/**
 * Values of PostgreSQL between their text and their binary format (documentation, "Data Types"; server sources,
 * `src/backend/utils/adt`, the send and recv functions). Only types whose text form does not depend on a setting other than
 * the defaults (DateStyle ISO, bytea hex, shortest floats).
 */

type Codec = { readonly text: (binary: Buffer) => string | undefined; readonly binary: (text: string) => Buffer | undefined };

const sized = (bytes: number, write: (out: Buffer) => void): Buffer => { const out = Buffer.alloc(bytes); write(out); return out; };
const asIs: Codec = { text: (binary) => binary.toString('latin1'), binary: (text) => Buffer.from(text, 'latin1') };

function integer(bytes: 2 | 4 | 8, unsigned = false): Codec {
  return {
    text: (b) => String(bytes === 8 ? b.readBigInt64BE() : unsigned ? b.readUIntBE(0, bytes) : b.readIntBE(0, bytes)),
    binary: (t) => sized(bytes, (out) => { if (bytes === 8) out.writeBigInt64BE(BigInt(t)); else if (unsigned) out.writeUIntBE(Number(t), 0, bytes); else out.writeIntBE(Number(t), 0, bytes); }),
  };
}

/** The shortest digits that read back the same; with an exponent below −4 and from `digits` on. */
function floatText(value: number, shortest: string, digits: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? 'Infinity' : '-Infinity';
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const [mantissa = '', exponentText = '0'] = shortest.split('e');
  const exponent = Number(exponentText);
  if (exponent < -4 || exponent >= digits) return `${mantissa}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
  const sign = value < 0 ? '-' : '';
  const all = mantissa.replace('-', '').replace('.', '');
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${all}`;
  return all.length <= exponent + 1 ? sign + all.padEnd(exponent + 1, '0') : `${sign}${all.slice(0, exponent + 1)}.${all.slice(exponent + 1)}`;
}

/** A 32-bit float's shortest decimal: the fewest digits that round to it. */
function shortestSingle(value: number): string {
  for (let digits = 0; digits < 9; digits += 1) {
    const text = value.toExponential(digits);
    if (Math.fround(Number(text)) === value) return text;
  }
  return value.toExponential();
}

const numberOf = (text: string): number => (text === 'Infinity' ? Infinity : text === '-Infinity' ? -Infinity : Number(text));

/** Microseconds since 2000-01-01, which PostgreSQL counts from; days for a date. */
const EPOCH_MS = Date.UTC(2000, 0, 1);
const DAY_MS = 86_400_000;

function dateText(ms: number): string | undefined {
  const date = new Date(ms);
  const year = date.getUTCFullYear();
  return year >= 1 && year <= 9999 ? date.toISOString().slice(0, 10) : undefined;
}

function timestampText(b: Buffer): string | undefined {
  const us = b.readBigInt64BE();
  const seconds = us >= 0n ? us / 1_000_000n : (us - 999_999n) / 1_000_000n;
  const ms = EPOCH_MS + Number(seconds) * 1000;
  if (!(Math.abs(ms) < 8e15)) return undefined;
  const fraction = (us - seconds * 1_000_000n).toString().padStart(6, '0').replace(/0+$/, '');
  const date = dateText(ms);
  return date === undefined ? undefined : `${date} ${new Date(ms).toISOString().slice(11, 19)}${fraction === '' ? '' : `.${fraction}`}`;
}

/** `zone`: an offset must follow. */
function timestampBinary(text: string, zone: boolean): Buffer | undefined {
  const found = /^(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?:([+-])(\d\d)(?::(\d\d))?)?$/.exec(text);
  if (found === null || (found[8] !== undefined) !== zone) return undefined;
  const [year, month, day, hour, minute, second] = found.slice(1, 7).map(Number) as [number, number, number, number, number, number];
  const offset = (Number(found[9] ?? 0) * 60 + Number(found[10] ?? 0)) * (found[8] === '-' ? -1 : 1);
  const seconds = (Date.UTC(year, month - 1, day, hour, minute, second) - EPOCH_MS) / 1000 - offset * 60;
  return sized(8, (out) => { out.writeBigInt64BE(BigInt(seconds) * 1_000_000n + BigInt((found[7] ?? '').padEnd(6, '0'))); });
}

/** numeric: digits to the base of 10,000, the weight of the first, a sign, how many decimals are shown. */
function numericText(b: Buffer): string | undefined {
  const [count, weight, sign, scale] = [b.readInt16BE(0), b.readInt16BE(2), b.readUInt16BE(4), b.readInt16BE(6)];
  if (sign === 0xc000) return 'NaN';
  if (sign !== 0 && sign !== 0x4000) return undefined;
  const digit = (at: number): number => (at >= 0 && at < count ? b.readInt16BE(8 + 2 * at) : 0);
  let whole = '';
  for (let at = 0; at <= weight; at += 1) whole += String(digit(at)).padStart(4, '0');
  let fraction = '';
  for (let at = weight + 1; fraction.length < scale; at += 1) fraction += String(digit(at)).padStart(4, '0');
  whole = whole.replace(/^0+(?=\d)/, '') || '0';
  return `${sign === 0 ? '' : '-'}${whole}${scale > 0 ? `.${fraction.slice(0, scale)}` : ''}`;
}

function numericBinary(text: string): Buffer | undefined {
  const found = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text);
  if (found === null) return text === 'NaN' ? Buffer.from('00000000c0000000', 'hex') : undefined;
  const [, sign, whole = '', fraction = ''] = found;
  const left = whole.padStart(Math.ceil(whole.length / 4) * 4, '0');
  const groups = ((left + fraction.padEnd(Math.ceil(fraction.length / 4) * 4, '0')).match(/\d{4}/g) ?? []).map(Number);
  let weight = left.length / 4 - 1;
  while (groups[0] === 0) {
    groups.shift();
    weight -= 1;
  }
  while (groups.at(-1) === 0) groups.pop();
  const head = [groups.length, groups.length === 0 ? 0 : weight, sign === '-' && groups.length > 0 ? 0x4000 : 0, fraction.length];
  return Buffer.concat([...head, ...groups].map((value) => sized(2, (out) => { out.writeUInt16BE(value & 0xffff); })));
}

const CODECS: Readonly<Record<number, Codec>> = {
  16: { text: (b) => (b[0] === 1 ? 't' : 'f'), binary: (t) => Buffer.from([t === 't' ? 1 : 0]) },
  17: { text: (b) => `\\x${b.toString('hex')}`, binary: (t) => (t.startsWith('\\x') ? Buffer.from(t.slice(2), 'hex') : undefined) },
  18: asIs, 19: asIs, 25: asIs, 114: asIs, 142: asIs, 705: asIs, 1042: asIs, 1043: asIs,
  20: integer(8), 21: integer(2), 23: integer(4), 26: integer(4, true),
  700: { text: (b) => floatText(b.readFloatBE(), shortestSingle(b.readFloatBE()), 6), binary: (t) => sized(4, (out) => { out.writeFloatBE(numberOf(t)); }) },
  701: { text: (b) => floatText(b.readDoubleBE(), b.readDoubleBE().toExponential(), 15), binary: (t) => sized(8, (out) => { out.writeDoubleBE(numberOf(t)); }) },
  1082: {
    text: (b) => dateText(EPOCH_MS + b.readInt32BE() * DAY_MS),
    binary: (t) => (/^\d{4}-\d\d-\d\d$/.test(t) ? sized(4, (out) => { out.writeInt32BE((Date.parse(`${t}T00:00:00Z`) - EPOCH_MS) / DAY_MS); }) : undefined),
  },
  1114: { text: timestampText, binary: (t) => timestampBinary(t, false) },
  // The other way the text depends on the connection's time zone.
  1184: { text: () => undefined, binary: (t) => timestampBinary(t, true) },
  1700: { text: numericText, binary: numericBinary },
  2950: {
    text: (b) => b.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
    binary: (t) => Buffer.from(t.replaceAll('-', ''), 'hex'),
  },
  3802: { text: (b) => (b[0] === 1 ? b.toString('latin1', 1) : undefined), binary: (t) => Buffer.concat([Buffer.from([1]), Buffer.from(t, 'latin1')]) },
};

/** A value of that type in its other format; undefined where that is not known how. */
export function converted(value: Uint8Array, type: number, toBinary: boolean): Uint8Array | undefined {
  const codec = CODECS[type];
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.length);
  try {
    const told = toBinary ? codec?.binary(bytes.toString('latin1')) : codec?.text(bytes);
    return typeof told === 'string' ? Buffer.from(told, 'latin1') : told;
  } catch {
    return undefined; // shorter than its type, or no number
  }
}
