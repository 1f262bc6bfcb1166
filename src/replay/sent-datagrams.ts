/**
 * Datagrams that recorded sessions sent (statistics, logs). Nobody answers them, so a session that sent some can be played: they
 * are taken where they were taken when recorded, and are lost. What is sent anywhere else is refused, as where nobody is there.
 * They are not compared.
 */
import { parseAddress, type Address } from '../bytes/address.ts';
import type { Session } from '../sessions/session.ts';

/** Past that a destination refuses what it is sent. */
const MAX_DESTINATIONS = 256;
const NOTHING = new Uint8Array(0);

/** Of those that are in no session, as nobody knows whose they are, or only in part. */
const unseen = ({ certificate }: Session): Session['certificate']['unseen'][number] | undefined => certificate.unseen.find(({ kind }) => kind === 'udp-sent');

/** Where they went, each once; of those that are in no session the certificates name some. */
export function datagramDestinations(sessions: readonly Session[]): Address[] {
  const found = new Map<string, Address>();
  for (const session of sessions) {
    for (const to of [...(session.datagrams ?? []).map((one) => one.to), unseen(session)?.detail ?? '']) {
      const address = found.has(to) || found.size >= MAX_DESTINATIONS ? undefined : parseAddress(to);
      if (address !== undefined) found.set(to, address);
    }
  }
  return [...found.values()];
}

/** How many it sent; where none is in the session, all that may be its own. */
export function sentDatagrams(session: Session): { datagrams?: number } {
  const count = session.datagrams?.length ?? unseen(session)?.count ?? 0;
  return count === 0 ? {} : { datagrams: count };
}

/** The session without what they said, and what it wrote to its logs, which nobody needs here: it may lie in large blocks of the recording. */
export function withoutDatagramBytes({ appends: _appends, ...session }: Session): Session {
  const { datagrams } = session;
  return datagrams === undefined ? session : { ...session, datagrams: datagrams.map((one) => ({ ...one, bytes: NOTHING })) };
}

/** `family`: 'v4' or 'v6'. Lines of an iptables chain that lead them to `port`. */
export const datagramRules = (chain: string, family: 'v4' | 'v6', to: readonly Address[], port: number): string[] =>
  to.filter(({ host }) => host.includes(':') === (family === 'v6')).map(({ host, port: theirs }) => `-A ${chain} -p udp -d ${host} --dport ${theirs} -j REDIRECT --to-ports ${port}`);
