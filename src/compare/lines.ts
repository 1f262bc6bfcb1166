/** Text against text, by line: `path.lines[12]` (counted from 0; in the recorded text, for added lines in the live one). */
import { diffArrays } from 'diff';
import type { Differences } from './difference.ts';

/** Texts that need more edits than this are compared line against line between their equal beginnings and ends. */
const maxEdits = 400;

export function compareLines(path: string, recorded: string, live: string, out: Differences): void {
  if (recorded === live) return;
  const a = recorded.split('\n');
  const b = live.split('\n');
  let head = 0;
  while (head < Math.min(a.length, b.length) && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < Math.min(a.length, b.length) - head && a.at(-1 - tail) === b.at(-1 - tail)) tail++;
  const before = a.slice(head, a.length - tail);
  const after = b.slice(head, b.length - tail);
  const changes = diffArrays(before, after, { maxEditLength: maxEdits }) ?? [{ value: before, removed: true, added: false }, { value: after, removed: false, added: true }];
  let from = head;
  let to = head;
  for (let at = 0; at < changes.length; at++) {
    const change = changes[at]!;
    if (!change.removed && !change.added) {
      from += change.value.length;
      to += change.value.length;
      continue;
    }
    const next = changes[at + 1];
    const removed = change.removed ? change.value : [];
    const added = change.added ? change.value : next?.added === true ? next.value : [];
    if (change.removed && added.length > 0) at++;
    block(path, from, to, removed, added, out);
    from += removed.length;
    to += added.length;
  }
}

function block(path: string, from: number, to: number, removed: readonly string[], added: readonly string[], out: Differences): void {
  for (let at = 0; at < Math.max(removed.length, added.length); at++) {
    if (at >= added.length) out.add({ path: `${path}.lines[${from + at}]`, recorded: removed[at], kind: 'removed' });
    else if (at >= removed.length) out.add({ path: `${path}.lines[${to + at}]`, live: added[at], kind: 'added' });
    else out.add({ path: `${path}.lines[${from + at}]`, recorded: removed[at], live: added[at], kind: 'changed' });
  }
}
