/** Words that may name what a message is about: ids, numbers, names. And how likely a word stands in a message by chance. */

const maxWords = 128;
const maxWordChars = 48;
const minNumberChars = 3;
const minNameChars = 5;
/** Letters beyond ASCII are names too. */
const WORD = /[\w\x80-\xff-]{3,4096}/g;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const minMixedChars = 4;
const DIGIT = /\d/;
const ONLY_DIGITS = /^\d+$/;

/** Of ids with parts (`order-1234`), the parts as well. */
export function wordsOf(text: string): Set<string> {
  const found = new Set<string>();
  for (const [match] of text.matchAll(WORD)) {
    const word = match.slice(-maxWordChars).toLowerCase();
    add(found, word);
    if ((word.includes('-') || word.includes('_')) && !UUID.test(word)) for (const part of word.split(/[-_]+/)) if (DIGIT.test(part)) add(found, part);
    if (found.size >= maxWords) break;
  }
  return found;
}

function add(found: Set<string>, word: string): void {
  const digits = ONLY_DIGITS.test(word);
  const plain = digits ? word.replace(/^0+/, '') : word;
  if (plain.length >= (digits ? minNumberChars : DIGIT.test(plain) ? minMixedChars : minNameChars)) found.add(plain);
}

/** A name or a word of a language, which comes with others of its kind: several say no more than one. */
export const isName = (word: string): boolean => !DIGIT.test(word);

/** The share of messages that hold it, before any were seen. */
export function commonness(word: string): number {
  if (ONLY_DIGITS.test(word)) return Math.max(1e-6, 10 ** (1 - word.length));
  if (!DIGIT.test(word)) return 0.03;
  return word.length >= 12 ? 1e-6 : word.length >= 6 ? 1e-4 : 1e-2;
}
