/** The same recording, derived without the ids: what is left for content to go by is what services have that put no id into every call. */
import { sessionJson, ambientJson } from '../../src/sessions/json.ts';
import { derive } from '../../src/sessions/derive.ts';
import { openRecording } from '../../src/store/recording.ts';
import type { AmbientJson, SessionJson } from './contract.ts';
import { RID } from './services/rid.ts';

export function derivedWithoutIds(dir: string): { sessions: SessionJson[]; ambient: AmbientJson[] } {
  const recording = openRecording(dir);
  const found: { sessions: SessionJson[]; ambient: AmbientJson[] } = { sessions: [], ambient: [] };
  const hide = (text: string): string => text.replace(RID, '');
  for (const one of derive(recording.events(), { recordingId: recording.id, hide, endedOrderly: () => recording.status().endedOrderly })) {
    if (one.kind === 'session') found.sessions.push(sessionJson(one.session) as unknown as SessionJson);
    else if (one.kind === 'ambient') found.ambient.push(ambientJson(one.talk) as unknown as AmbientJson);
  }
  return found;
}
