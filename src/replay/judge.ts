/** TEMPORARY until src/compare lands. */
import type { ProtocolName } from '../protocols/protocol.ts';
export interface Difference { readonly path: string; readonly recorded?: unknown; readonly live?: unknown; readonly kind: 'changed' | 'added' | 'removed' | 'type' | 'bytes' }
export interface TalkBytes { readonly request: Uint8Array; readonly response: Uint8Array }
const strip = (b: Uint8Array): string => Buffer.from(b).toString('latin1').replace(/^date:.*\r\n/im, '');
export function compareTalk(recorded: TalkBytes, live: TalkBytes, _protocol: ProtocolName): { verdict: 'same' | 'different'; differences: Difference[]; ignored: number } {
  const differences: Difference[] = [];
  for (const part of ['request', 'response'] as const) {
    if (strip(recorded[part]) !== strip(live[part])) differences.push({ path: part, kind: 'bytes', recorded: strip(recorded[part]), live: strip(live[part]) });
  }
  return { verdict: differences.length === 0 ? 'same' : 'different', differences, ignored: 0 };
}
export const equalByProtocol = (a: Uint8Array, b: Uint8Array, _p: ProtocolName): boolean => strip(a) === strip(b);
export function similarity(a: Uint8Array, b: Uint8Array): number {
  const words = (x: Uint8Array): Set<string> => new Set(strip(x).split(/[^A-Za-z0-9]+/));
  const [one, two] = [words(a), words(b)];
  const both = [...one].filter((word) => two.has(word)).length;
  return both / Math.max(one.size, two.size, 1);
}
