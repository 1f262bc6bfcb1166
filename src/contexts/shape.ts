/** What calls have in common that differ only in values. */
import type { OpenTalk } from '../talks/open-talk.ts';

const maxShapeBytes = 96;

/** Whom it asks, and how that begins: without what does not print and words with a digit. */
export function shapeOf(talk: OpenTalk): string {
  const { host, port } = talk.connection.open.remote;
  return `${host}:${port} ${masked(beginningOf(talk), ANY_NUMBER)}`;
}

export interface Endpoints {
  readonly wide: string;
  readonly narrow: string;
}

/** Of a session's request the same, whoever asks, without the query; and with it, and with its short numbers (`page=2`), which may say how much there is to do. */
export function endpointsOf(talk: OpenTalk): Endpoints {
  const text = beginningOf(talk);
  const wide = masked(text, ANY_NUMBER);
  const query = wide.indexOf('?');
  return { wide: query < 0 ? wide : wide.slice(0, query), narrow: masked(text, LONG_NUMBER) };
}

const ANY_NUMBER = /[\w-]*\d[\w-]*/g;
const LONG_NUMBER = /(?=[\w-]{4})[\w-]*\d[\w-]*/g;

function beginningOf(talk: OpenTalk): string {
  const bytes = talk.request.head(maxShapeBytes);
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  const version = text.indexOf(' HTTP/');
  return version > 0 ? text.slice(0, version) : text;
}

function masked(text: string, numbers: RegExp): string {
  const plain = BINARY.test(text) ? text.replace(NO_WORDS, ' ') : text.replace(NOT_PRINTED, ' ');
  return plain.replace(numbers, '#');
}

const NOT_PRINTED = /[^ -~]+/g;
/** Of what is no text, bytes that look like letters are values as well, but where some stand together. */
const BINARY = /[^\t\r\n -~]/;
const NO_WORDS = /[^ -~]+(?:[ -~]{1,3}(?=[^ -~]|$)[^ -~]*)*/g;
