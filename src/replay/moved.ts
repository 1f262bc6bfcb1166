/** Dependencies that are elsewhere now than when they were recorded. Pure. */

/** An address or a name (lower case), with a port or for all of them. */
export interface Place {
  readonly host: string;
  readonly port?: number;
}

export interface Move {
  readonly recorded: Place;
  readonly live: Place;
}

export type Moved = readonly Move[];

export const NOTHING_MOVED: Moved = [];

/** The recorded place that stands for this one, under any of its `hosts`; `addressOf` gives a recorded name's. */
export function recordedPlace(moved: Moved, hosts: readonly string[], port: number, addressOf: (name: string) => string | undefined): Required<Place> | undefined {
  const move = moved.find(({ live }) => hosts.includes(live.host) && (live.port === undefined || live.port === port));
  if (move === undefined) return undefined;
  const { recorded } = move;
  return { host: addressOf(recorded.host) ?? recorded.host, port: recorded.port ?? port };
}
