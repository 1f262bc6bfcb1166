/** A session as what it says, comparable with the same session of another recording: no ids, no times, no process. */
import { bytesOf, type OutboundJson, type SessionJson } from '../contract.ts';

export interface Said {
  readonly startedAt: string;
  readonly request: string;
  readonly response: string;
  readonly listener: string;
  /** Its address; the port may be another, where that was taken. */
  readonly client: string;
  readonly state: string;
  readonly unattributed: number;
  readonly calls: readonly SaidCall[];
}

interface SaidCall {
  readonly destination: string;
  readonly protocol: string;
  readonly request: string;
  readonly response: string;
  readonly attribution: string;
  readonly afterResponse: boolean;
  readonly certainty: string;
}

/** `own`: what the service makes anew each time and puts into its answers; it becomes one and the same. */
export function said({ startedAt, inbound, outbound, certificate, ties }: SessionJson, own?: RegExp): Said {
  const response = bytesOf(inbound.response).toString('latin1');
  return {
    startedAt, request: bytesOf(inbound.request).toString('latin1'), response: own === undefined ? response : response.replace(own, '(own)'),
    listener: inbound.connection.local, client: inbound.connection.remote.replace(/:\d+$/, ''), state: certificate.state, unattributed: ties.unknown, calls: outbound.map(saidCall),
  };
}

function saidCall({ connection, request, response, attribution, certainty, afterResponse }: OutboundJson): SaidCall {
  return {
    destination: connection.remote, protocol: connection.protocol, request: bytesOf(request).toString('latin1'), response: bytesOf(response).toString('latin1'),
    attribution, certainty, afterResponse: afterResponse ?? false,
  };
}

/** By what was asked, so that two recordings' sessions stand at the same place. */
export function allSaid(sessions: readonly SessionJson[], own?: RegExp): Said[] {
  return sessions.map((one) => said(one, own)).sort((a, b) => (a.request < b.request ? -1 : 1));
}

/** The same without when it was, and by what, and how surely, each call is tied to it. */
export function withoutEvidence({ startedAt: _, ...said }: Said): Omit<Said, 'calls' | 'startedAt'> & { readonly calls: readonly Omit<SaidCall, 'attribution' | 'certainty'>[] } {
  return { ...said, calls: said.calls.map(({ attribution: __, certainty: ___, ...call }) => call) };
}

/** How many calls were proven in `original` and are not, or by other evidence, in `copy`, of the same session. */
export function lessProven(original: Said, copy: Said | undefined): number {
  return original.calls.filter(({ certainty, attribution }, n) => certainty === 'proven' && (copy?.calls[n]?.certainty !== 'proven' || copy.calls[n].attribution !== attribution)).length;
}
