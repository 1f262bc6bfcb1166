/** The formats that `export` writes: a new one is a file here and a row. */
import { sessionJson } from '../sessions/json.ts';
import type { Session } from '../sessions/session.ts';
import { koalaText } from './koala.ts';

/** One session as text, without a final line break. `indent`: over several lines, for people; else one line. */
export type Format = (session: Session, indent: boolean) => string;

export const FORMATS: Readonly<Record<string, Format>> = {
  json: (session, indent) => JSON.stringify(sessionJson(session), undefined, indent ? 2 : undefined),
  koala: koalaText,
};
