/** A session as what it says, comparable with the same session of another recording: no ids, no times, no process. */
import { bytesOf, type OutboundJson, type SessionJson } from '../contract.ts';

export interface Said {
  readonly request: string;
  readonly response: string;
  readonly listener: string;
  readonly client: string;
  readonly state: string;
  readonly ties: SessionJson['ties'];
  readonly calls: readonly SaidCall[];
}

interface SaidCall {
  readonly destination: string;
  readonly protocol: string;
  readonly request: string;
  readonly response: string;
  /** Only where it is proven: what is likely may have been likelier another time. */
  readonly tie: string;
  readonly afterResponse: boolean;
}

/** `own`: what the service makes anew each time and puts into its answers; it becomes one and the same. */
export function said({ inbound, outbound, certificate, ties }: SessionJson, own?: RegExp): Said {
  const response = bytesOf(inbound.response).toString('latin1');
  return {
    request: bytesOf(inbound.request).toString('latin1'), response: own === undefined ? response : response.replace(own, '(own)'),
    listener: inbound.connection.local, client: inbound.connection.remote, state: certificate.state, ties, calls: outbound.map(saidCall),
  };
}

function saidCall({ connection, request, response, attribution, certainty, afterResponse = false }: OutboundJson): SaidCall {
  return {
    destination: connection.remote, protocol: connection.protocol, request: bytesOf(request).toString('latin1'), response: bytesOf(response).toString('latin1'),
    tie: certainty === 'proven' ? `proven by ${attribution}` : certainty, afterResponse,
  };
}

/** By what was asked, so that two recordings' sessions stand at the same place. */
export function allSaid(sessions: readonly SessionJson[], own?: RegExp): Said[] {
  return sessions.map((one) => said(one, own)).sort((a, b) => (a.request < b.request ? -1 : 1));
}
