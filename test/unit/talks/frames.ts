/** Builds HTTP/2 frames as Latin-1 text, which is how scenes hold bytes. Header fields are literals that enter no table, unless said otherwise. */
export type Fields = Readonly<Record<string, string>>;

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
export const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

export function frame(type: number, flags: number, stream: number, payload = ''): string {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return latin1(head) + payload;
}

const text = (value: string): string => `${String.fromCharCode(value.length)}${value}`;
export const literal = (name: string, value: string): string => `\0${text(name)}${text(value)}`;
/** One that is entered into the table. */
export const indexed = (name: string, value: string): string => `@${text(name)}${text(value)}`;
export const block = (fields: Fields): string => Object.entries(fields).map(([name, value]) => literal(name, value)).join('');

export const SETTINGS = frame(4, 0, 0);
export const ACK = frame(4, 1, 0);
export const PING = frame(6, 0, 0, 'pingping');
export const windowUpdate = (stream: number): string => frame(8, 0, stream, '\0\0\x10\0');
export const reset = (stream: number, code = 8): string => frame(3, 0, stream, `\0\0\0${String.fromCharCode(code)}`);
export const data = (stream: number, body: string, ends = true): string => frame(0, ends ? 1 : 0, stream, body);
export const headers = (stream: number, fields: Fields, ends = true): string => frame(1, ends ? 5 : 4, stream, block(fields));
export const GET = (stream: number, path: string, more: Fields = {}): string => headers(stream, { ':method': 'GET', ':scheme': 'http', ':path': path, ...more });
export const OK = (stream: number, body: string): string => headers(stream, { ':status': '200' }, false) + data(stream, body);
