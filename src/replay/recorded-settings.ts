/**
 * How the connections of a recording were set up, and what of a live one is another set-up. Each setting is looked at by itself:
 * it is another one where no recorded connection of the destination ever had that value, and, of the database and the user,
 * where the connection of the very call had another. What differs between connections by itself is none.
 */
import { maskedText, type Difference } from '../compare/index.ts';
import { protocolNamed } from '../protocols/index.ts';
import type { ProtocolName } from '../protocols/protocol.ts';
import type { AmbientTalk, OutboundTalk, Session } from '../sessions/session.ts';
import { bytesOf } from './calls.ts';
import type { JudgeOptions } from './judge-calls.ts';
import { canonicalDestination } from './destination.ts';
import { settingsIn, settingValues, type SettingValues } from './settings.ts';
import { prologueSettings } from './setups.ts';

/** Only these say what a connection is for; whose others are, a pool may decide by chance. */
const OF_THE_CALL = ['database', 'user'];
/** Values of a setting that are remembered. */
const MAX_VALUES = 256;
/** A setting with so many values, most of them once, is another one each time. */
const MANY_VALUES = 3;

/** How often each value was set; absent ones count as `undefined`. */
type Seen = Map<string | undefined, number>;

interface Destination {
  readonly seen: Map<string, Seen>;
  /** Whole connections: what they lacked is known too. */
  whole: number;
  /** Set by a call in the middle of a connection: not the same all through. */
  readonly changing: Set<string>;
}

/** What is read of a recording. `whole`: connections that were recorded from their first byte on; absent: nobody can tell. */
export interface RecordedConnections {
  readonly sessions: readonly Session[];
  readonly ambient: readonly AmbientTalk[];
  readonly whole?: ReadonlySet<string>;
}

/** Judges connections by all that the recordings of `loaded`, and those for its start, hold; these are read when the first one is judged. */
export function settingsJudge(
  loaded: readonly { readonly session: Session; readonly background?: RecordedConnections }[], startup: readonly RecordedConnections[],
): NonNullable<JudgeOptions['settings']> {
  const recordings = new Map(loaded.flatMap(({ session, background }) => (background === undefined ? [] : [[session.id, background] as const])));
  const all = loaded.some(({ background }) => background === undefined) ? [{ sessions: loaded.map(({ session }) => session), ambient: [] }] : [];
  let recorded: RecordedSettings | undefined;
  const read = (): RecordedSettings => (recorded ??= new RecordedSettings([...new Set([...recordings.values(), ...all, ...startup])]));
  return (session, talk, live, equal) => read().differences(recordings.get(session.id) ?? all[0], talk, live, equal);
}

export class RecordedSettings {
  readonly #destinations = new Map<string, Destination>();
  /** Of connections, by recording and id. */
  readonly #connections = new Map<RecordedConnections, Map<string, SettingValues>>();

  constructor(recordings: readonly RecordedConnections[]) {
    for (const recording of recordings) this.#read(recording);
  }

  #read(recording: RecordedConnections): void {
    const known = new Map<string, SettingValues>();
    this.#connections.set(recording, known);
    const calls: (OutboundTalk | AmbientTalk)[] = [...recording.sessions.flatMap(({ outbound }) => outbound), ...recording.ambient];
    const protocols = new Map<string, ProtocolName>();
    for (const { connection: { id, protocol } } of calls) protocols.set(id, protocol);
    for (const { prologues } of recording.sessions) {
      for (const prologue of prologues) {
        const name = protocols.get(prologue.connection);
        if (name === undefined || known.has(prologue.connection) || recording.whole?.has(prologue.connection) === false) continue;
        const values = prologueSettings(prologue, name, protocolNamed(name))?.values;
        if (values === undefined) continue;
        known.set(prologue.connection, values);
        this.#count(prologue.destination, values);
      }
    }
    // A session names the prologues of its connections: one that has none set nothing up.
    for (const { connection: { id, protocol, remote } } of recording.sessions.flatMap(({ outbound }) => outbound)) {
      if (protocol !== 'redis' || known.has(id) || recording.whole?.has(id) !== true) continue;
      known.set(id, new Map());
      this.#count(remote, new Map());
    }
    for (const { connection: { protocol, remote }, request } of calls) this.#change(remote, protocol, bytesOf(request));
  }

  #at(destination: string): Destination {
    const key = canonicalDestination(destination);
    let one = this.#destinations.get(key);
    if (one === undefined) this.#destinations.set(key, one = { seen: new Map(), whole: 0, changing: new Set() });
    return one;
  }

  #count(destination: string, values: SettingValues): void {
    const one = this.#at(destination);
    for (const [name, value] of values) see(one, name, value);
    one.whole += 1;
  }

  /** A set-up request that was a call, in the middle of a connection. */
  #change(destination: string, protocol: ProtocolName, request: Uint8Array): void {
    const values = settingsIn(protocol, request);
    if (values === undefined) return;
    const one = this.#at(destination);
    for (const [name, value] of values) {
      see(one, name, value);
      one.changing.add(name);
    }
  }

  /**
   * What of `said` (`Settings.text` of a live connection, on which a call was made that is `talk`) is another set-up. `equal`: the
   * calls of its session that ask the same. Paths begin with `connection`.
   */
  differences(recording: RecordedConnections | undefined, talk: OutboundTalk, said: string, equal: readonly OutboundTalk[]): Difference[] {
    const one = this.#destinations.get(canonicalDestination(talk.connection.remote));
    if (one === undefined || one.whole === 0) return [];
    const live = settingValues(said);
    const known = recording === undefined ? undefined : this.#connections.get(recording);
    const own = known?.get(talk.connection.id);
    const found: Difference[] = [];
    for (const name of new Set([...live.keys(), ...one.seen.keys()])) {
      const value = live.get(name);
      const seen = one.seen.get(name) ?? new Map<string | undefined, number>();
      const lacking = one.whole - (one.changing.has(name) ? 0 : [...seen.values()].reduce((sum, count) => sum + count, 0));
      const isOfTheCall = OF_THE_CALL.includes(name) && !one.changing.has(name) && own !== undefined;
      const usual = isOfTheCall && equal.every(({ connection }) => sameValue(known?.get(connection.id)?.get(name), own.get(name)));
      if (usual ? sameValue(own.get(name), value) : fits(value, seen, lacking > 0)) continue;
      found.push(difference(name, own === undefined ? mostSeen(seen) : own.get(name), value));
    }
    return found;
  }
}

function see({ seen }: Destination, name: string, value: string): void {
  let values = seen.get(name);
  if (values === undefined) seen.set(name, values = new Map());
  if (values.has(value) || values.size < MAX_VALUES) values.set(value, (values.get(value) ?? 0) + 1);
}

function fits(value: string | undefined, seen: Seen, mayLack: boolean): boolean {
  if (value === undefined) return mayLack;
  if (seen.has(value)) return true;
  const times = [...seen.values()].reduce((sum, count) => sum + count, 0);
  if (seen.size >= MANY_VALUES && seen.size * 2 > times) return true;
  // Where two connections had the same, nothing makes it anew for each.
  return seen.size === times && [...seen.keys()].some((other) => sameValue(other, value));
}

/** Equal, but for what a driver makes itself: an id, a time. */
const sameValue = (recorded: string | undefined, live: string | undefined): boolean =>
  recorded === live || (recorded !== undefined && live !== undefined && maskedText(recorded) === maskedText(live));

const mostSeen = (seen: Seen): string | undefined => [...seen].sort(([, a], [, b]) => b - a)[0]?.[0];

function difference(name: string, recorded: string | undefined, live: string | undefined): Difference {
  const path = `connection.${/^[\w-]+$/.test(name) ? name : ''}`.replace(/\.$/, `[${JSON.stringify(name)}]`);
  if (recorded === undefined) return { path, kind: 'added', ...(live === undefined ? {} : { live }) };
  return live === undefined ? { path, kind: 'removed', recorded } : { path, kind: 'changed', recorded, live };
}
