/** Maps and sets that hold no more than so much: what has been in them longest goes. */

/** Removes the first entry where there are more than `most`; returns its value. */
export function dropFirst<K, V>(map: Map<K, V>, most: number): V | undefined {
  if (map.size <= most) return undefined;
  for (const [key, value] of map) {
    map.delete(key);
    return value;
  }
  return undefined;
}
