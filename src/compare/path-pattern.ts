/**
 * Paths of differences and the patterns that name several of them: `response.body.$.items[*].at`, `calls[*].request.headers.x`,
 * `response.body.$..createdAt`. A pattern also means everything beneath what it names.
 */

type Segment = { readonly name: string } | { readonly index: number } | 'any' | 'deep';

export interface PathPattern {
  readonly text: string;
  readonly segments: readonly Segment[];
}

/** `name`, `.name`, `[7]`, `["odd name"]`, `[*]`, `.*`, `..`. Undefined where a text is no path. */
function segmentsOf(text: string): Segment[] | undefined {
  const segments: Segment[] = [];
  let at = 0;
  while (at < text.length) {
    const rest = text.slice(at);
    const match = /^\.\.|^(?:\.|^)\*|^\[\*\]|^\[(\d+)\]|^\[("(?:[^"\\]|\\.)*")\]|^\.?([^.[\]*"\s]+)/.exec(rest);
    if (match === null || match[0] === '') return undefined;
    const [whole, index, quoted, name] = match;
    if (whole === '..') {
      segments.push('deep');
      // `$..a` and `$..[0]` alike.
      at += /^\.\.[[]/.test(rest) ? 2 : 1;
      continue;
    }
    if (index !== undefined) segments.push({ index: Number(index) });
    else if (quoted !== undefined) {
      try {
        segments.push({ name: JSON.parse(quoted) as string });
      } catch {
        return undefined;
      }
    } else segments.push(name !== undefined ? { name } : 'any');
    at += whole.length;
  }
  return segments;
}

/** Undefined where `text` is no pattern. */
export function parsePattern(text: string): PathPattern | undefined {
  const segments = segmentsOf(text.trim());
  const first = segments?.[0];
  if (segments === undefined || segments.at(-1) === 'deep' || typeof first !== 'object' || !('name' in first) || !['response', 'request', 'calls'].includes(first.name)) return undefined;
  return { text: text.trim(), segments };
}

const MAX_KNOWN = 10_000;
const known = new Map<string, readonly Segment[]>();

function pathSegments(path: string): readonly Segment[] {
  const seen = known.get(path);
  if (seen !== undefined) return seen;
  const segments = segmentsOf(path) ?? [{ name: path }];
  if (known.size >= MAX_KNOWN) known.clear();
  known.set(path, segments);
  return segments;
}

/** `whole`: the path itself, and nothing beneath it. */
export function matchesPath(pattern: PathPattern, path: string, whole = false): boolean {
  return matches(pattern.segments, 0, pathSegments(path), 0, whole);
}

function matches(pattern: readonly Segment[], at: number, path: readonly Segment[], from: number, whole: boolean): boolean {
  const wanted = pattern[at];
  if (wanted === undefined) return !whole || from === path.length;
  if (wanted === 'deep') {
    for (let next = from; next <= path.length; next += 1) if (matches(pattern, at + 1, path, next, whole)) return true;
    return false;
  }
  const segment = path[from];
  return segment !== undefined && sameSegment(wanted, segment) && matches(pattern, at + 1, path, from + 1, whole);
}

function sameSegment(wanted: Segment, segment: Segment): boolean {
  if (wanted === 'any' || typeof wanted === 'string' || typeof segment === 'string') return wanted === 'any';
  if ('index' in wanted) return 'index' in segment && wanted.index === segment.index;
  return 'name' in segment && wanted.name === segment.name;
}

/** The path with every index as `[*]`: what the same value of other items, calls and sessions is called. */
export const generalPath = (path: string): string => path.replace(/\[\d+\]/g, '[*]');
