/** Two values, one line each, what differs in them standing out. Recorded bytes never reach the terminal raw. */
import { diffWordsWithSpace } from 'diff';
import type { Colours } from './replay.ts';
import { clip, oneLine } from './text.ts';

const MAX_VALUE_CHARS = 160;
/** So much of what is the same is shown before the first difference of long values. */
const CONTEXT_CHARS = 40;
const MAX_DIFFED_CHARS = 4_000;
const MAX_EDITS = 200;

/** A recorded or live value on one line, safe to print, not clipped. */
function textOf(value: unknown): string {
  const text = JSON.stringify(value, (_, one: unknown) => (typeof one === 'bigint' ? String(one) : one)) as string | undefined;
  return oneLine(text ?? 'undefined');
}

/** A recorded or live value on one line of bounded length, safe to print. */
export const printable = (value: unknown): string => clip(textOf(value), MAX_VALUE_CHARS);

/** `- recorded` and `+ live`. */
export function valueDiff(recorded: unknown, live: unknown, colours: Colours): string[] {
  const [a, b] = [textOf(recorded), textOf(live)];
  let same = 0;
  while (same < Math.min(a.length, b.length) && a[same] === b[same]) same += 1;
  const from = Math.max(a.length, b.length) > MAX_VALUE_CHARS && same > CONTEXT_CHARS ? same - CONTEXT_CHARS : 0;
  const shown = (text: string): string => clip((from > 0 ? '…' : '') + text.slice(from, from + MAX_DIFFED_CHARS), MAX_VALUE_CHARS);
  const [one, two] = [shown(a), shown(b)];
  const parts = diffWordsWithSpace(one, two, { maxEditLength: MAX_EDITS }) as ReturnType<typeof diffWordsWithSpace> | undefined;
  const marked = (kind: 'removed' | 'added', whole: string): string => (parts === undefined ? whole : parts
    .filter((part) => (kind === 'removed' ? !part.added : !part.removed)).map((part) => (part[kind] ? colours.bold(part.value) : part.value)).join(''));
  return [colours.red(`- ${marked('removed', one)}`), colours.green(`+ ${marked('added', two)}`)];
}
