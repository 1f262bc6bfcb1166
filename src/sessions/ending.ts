/** Whether a session that was open when the recorder was stopped in good order had come to its end all the same. */
import type { OpenSession } from './open-session.ts';
import type { Spoken } from './spoken.ts';

/**
 * A framed talk is over or it is not. One cut by turn may always go on: an answer that the service acted upon (it went on to
 * respond) had come to its end; so had a response after which `quietSinceUs` passed in silence.
 */
export function endedWhole(session: OpenSession, quietSinceUs: number): boolean {
  return talkEnded(session.talk, quietSinceUs)
    && session.calls.every((call) => talkEnded(call, quietSinceUs) || (answeredByTurn(call) && call.answerSeq < session.talk.answerSeq));
}

function talkEnded(talk: Spoken, quietSinceUs: number): boolean {
  return talk.over || (answeredByTurn(talk) && talk.lastAtUs <= quietSinceUs);
}

function answeredByTurn(talk: Spoken): boolean {
  return !talk.framed && talk.responded;
}
