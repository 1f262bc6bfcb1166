/** The sessions to replay: of recordings (directories), and of session files (one indented, or one a line). */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../errors.ts';
import { sessionFromJson } from '../sessions/json.ts';
import type { AmbientTalk, Session } from '../sessions/session.ts';
import { derive } from '../sessions/derive.ts';
import { openRecording } from '../store/recording.ts';
import { owned, ownedTalk } from './owned.ts';
import { plainForm, type Plain } from './plain.ts';
import type { Loaded } from './options.ts';

/** So many calls of no session are kept, for the SUT's start and what it does by itself. */
const MAX_AMBIENT = 10_000;

/** Reads every path in order; `ids` (unique prefixes are enough) keeps only those. `quietMs` as in `DerivationOptions`. `onSession` is told of each that was read. */
export function load(paths: readonly string[], ids: readonly string[], quietMs: number, onSession?: () => void): Loaded[] {
  const all = paths.flatMap((path) => loadPath(path, quietMs, onSession));
  return ids.length === 0 ? all : chosen(all, ids);
}

/** Those that `ids` name; unique beginnings are enough. */
export const chosen = (all: readonly Loaded[], ids: readonly string[]): Loaded[] => ids.flatMap((id) => named(all, id));

function loadPath(path: string, quietMs: number, onSession?: () => void): Loaded[] {
  const background = plainOf(path, quietMs, onSession);
  const isFile = !statSync(path).isDirectory();
  return background.sessions.map((session) => ({ session, background, ...(isFile ? { file: path } : {}) }));
}

/** All that a recording, or a file of sessions, holds. */
export function plainOf(path: string, quietMs: number, onSession?: () => void): Plain {
  let isDirectory: boolean;
  try {
    isDirectory = statSync(path).isDirectory();
  } catch {
    throw new UserError(`Cannot read ${path}: there is no such file or directory`);
  }
  return isDirectory ? recordingOf(path, quietMs, onSession) : plainForm(readSessions(readFileSync(path, 'utf8'), path, onSession), []);
}

/** A recording's sessions, by the time they began, and its calls of no session. */
function recordingOf(dir: string, quietMs: number, onSession?: () => void): Plain {
  const recording = opened(dir);
  const derived = derive(recording.events(), { recordingId: recording.id, quietMs, endedOrderly: () => recording.status().endedOrderly });
  const sessions: Session[] = [];
  const ambient: AmbientTalk[] = [];
  const whole = new Set<string>();
  for (const one of derived) {
    if (one.kind === 'session') {
      sessions.push(owned(one.session));
      onSession?.();
    }
    else if (one.kind === 'ambient' && ambient.length < MAX_AMBIENT) ambient.push(ownedTalk(one.talk));
    else if (one.kind === 'connection' && one.account.role === 'outbound' && one.account.learnt === 'connect' && one.account.egress.from === 0) whole.add(one.account.id);
  }
  return { ...plainForm(sessions.sort((a, b) => a.startedAtUs - b.startedAtUs), ambient), whole };
}

/** `export --out` makes folders of session files, which are no recordings. */
function opened(dir: string): ReturnType<typeof openRecording> {
  try {
    return openRecording(dir);
  } catch (error) {
    if (!(error instanceof UserError) || !readdirSync(dir).some((name) => name.endsWith('.json'))) throw error;
    throw new UserError(`${dir} is no recording; of session files name each: ${join(dir, '*.json')}`);
  }
}

/** The sessions of a file's text: the whole of it as one JSON document, else one a line. */
export function readSessions(text: string, path: string, onSession?: () => void): Session[] {
  const whole = parse(text);
  if (whole !== undefined) return [sessionFromJson(whole)];
  return text.split('\n').flatMap((line, at) => {
    if (line.trim() === '') return [];
    const json = parse(line);
    if (json === undefined) throw new UserError(`Cannot read ${path}: line ${at + 1} is not JSON; expected what \`koala-bpf export --format json\` prints`);
    const session = sessionFromJson(json);
    onSession?.();
    return [session];
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function named(all: readonly Loaded[], id: string): Loaded[] {
  const exact = all.filter(({ session }) => session.id === id);
  const found = exact.length > 0 ? exact : all.filter(({ session }) => session.id.startsWith(id));
  if (found.length === 0) throw new UserError(`No session ${id} here; \`koala-bpf ls\` lists them`);
  if (new Set(found.map(({ session }) => session.id)).size > 1) {
    throw new UserError(`${id} is the beginning of several sessions: ${found.slice(0, 3).map(({ session }) => session.id).join(', ')}; say more of it`);
  }
  return found;
}
