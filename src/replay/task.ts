/** What goes between the main thread and the one in the service's network: sessions to play, and what came of them. */
import type { Address } from '../bytes/address.ts';
import type { Session } from '../sessions/session.ts';
import { lengthOf } from './calls.ts';
import { exactDemands } from './demands.ts';
import { faultsOf } from './faults.ts';
import type { Pack } from './pack.ts';
import { packedSession, unpackedSession, type PackedSession } from './packed-session.ts';
import type { LiveCall, Played } from './played.ts';

/** One session to be played once. */
export interface Task {
  readonly number: number;
  readonly session: Session;
  /** Bytes of the recorded response, which itself stays with the main thread. */
  readonly responseBytes: number;
  readonly sut: Address;
  /** Nothing else may be in play. */
  readonly alone: boolean;
  /** It is played before those that wait: it was played already, and that proved nothing. */
  readonly first: boolean;
  readonly demands: ReadonlyMap<string, string>;
}

/** `began` and `ended` count the beginnings and ends of a run: two sessions were in play at once where these overlap. */
export interface Result {
  readonly number: number;
  readonly began: number;
  readonly ended: number;
  readonly played: Played;
}

export function taskOf(number: number, session: Session, sut: Address, { again, alone }: { readonly again: boolean; readonly alone: boolean }): Task {
  const { inbound } = session;
  return {
    number, sut, alone: alone || faultsOf(session).length > 0, first: again,
    responseBytes: lengthOf(inbound.response),
    session: { ...session, inbound: { ...inbound, response: [] }, prologues: [], names: {} },
    demands: exactDemands(session),
  };
}

/** A task on its way, and again as it was. */
export type PackedTask = Omit<Task, 'session'> & { readonly session: PackedSession };

export const packedTask = (task: Task, pack: Pack): PackedTask => ({ ...task, session: packedSession(task.session, pack) });
export const unpackedTask = (task: PackedTask): Task => ({ ...task, session: unpackedSession(task.session) });

/** Its bytes are in `pack`, ready to be posted with its buffers. */
export function packedResult(result: Result, pack: Pack): Result {
  const { played } = result;
  const calls = played.calls.map((call): LiveCall => ({ ...call, request: pack.add(call.request) }));
  return { ...result, played: { ...played, response: pack.add(played.response), calls } };
}
