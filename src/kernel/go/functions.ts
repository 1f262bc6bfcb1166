/** The functions of Go programs that tell something: what a goroutine is for that began with one, who begins which, and for whom one writes. */
import type { ElfFile } from './elf.ts';
import type { UPROBES } from '../backends.ts';
import { beginsLikeGo, calls, endsOf, functionsNamed, type GoFunction } from './pclntab.ts';

/**
 * In the order of the roles they give (`enum goroutine_role` of bpf/event.h, from GOROUTINE_SERVES on): what the goroutine runs, and
 * who begins it. Since Go 1.17 it begins with a small function without arguments, made by the compiler, that calls the one.
 */
const ROLES = [
  { runs: 'net/http.(*conn).serve', by: 'net/http.(*Server).Serve' },
  { runs: 'net/http.(*connReader).backgroundRead', by: 'net/http.(*connReader).startBackgroundRead' },
  { runs: 'net/http.(*persistConn).writeLoop', by: 'net/http.(*Transport).dialConn' },
  { runs: 'net/http.(*persistConn).readLoop', by: 'net/http.(*Transport).dialConn' },
] as const;
const BEGINS = 'runtime.newproc1';
const ROUND_TRIP = 'net/http.(*persistConn).roundTrip';
const WRITES = ['net/http.persistConnWriter.Write', 'net/http.persistConnWriter.ReadFrom'];
const GRPC = 'google.golang.org/grpc/internal/transport';
const PUTS = `${GRPC}.(*controlBuffer).executeAndPut`;
/** Until 1.81, and since. */
const OPENS = [`${GRPC}.(*loopyWriter).headerHandler`, `${GRPC}.(*loopyWriter).clientHeaderHandler`];
const TAKES = `${GRPC}.(*http2Server).operateHeaders`;
/** Each is another program's, and one may hold several. */
const HANDLES = ['net/http.(*http2serverConn).runHandler', 'net/http/internal/http2.(*serverConn).runHandler', 'golang.org/x/net/http2.(*serverConn).runHandler'];

/** Programs of bpf/goroutine.bpf.c and bpf/goroutine-streams.bpf.c. */
export type GoProbe = (typeof UPROBES)[number];

interface Placed {
  readonly probe: GoProbe;
  readonly offset: number;
}

export interface GoFunctions {
  /** Address of the function by which each role is known, before the program is loaded; 0: it has none. */
  readonly roles: readonly number[];
  /** Where in the file which probe belongs, those that need each other together. */
  readonly probes: readonly (readonly Placed[])[];
}

export function goFunctions(elf: ElfFile): GoFunctions {
  const all = functionsNamed(elf, [BEGINS, ROUND_TRIP, ...WRITES, PUTS, ...OPENS, TAKES, ...HANDLES, ...ROLES.flatMap(({ runs, by }) => [runs, by])]);
  const named = (name: string): GoFunction | undefined => all.find((one) => one.name === name && beginsLikeGo(one));
  const entries = (probe: GoProbe, names: readonly string[]): readonly Placed[] =>
    names.flatMap((name) => named(name) ?? []).map(({ offset }) => ({ probe, offset }));
  const roles = ROLES.map(({ runs, by }) => {
    const run = named(runs);
    const first = run === undefined ? undefined : all.find((one) => one.name.startsWith(by) && one.name !== by && calls(one, run));
    return first?.address ?? 0;
  });
  const newproc = named(BEGINS);
  const begins = newproc === undefined ? [] : endsOf(newproc).map((offset): Placed => ({ probe: 'go_begins', offset }));
  const roundTrip = entries('go_round_trip', [ROUND_TRIP]);
  const writes = entries('go_writes', WRITES);
  const puts = entries('go_puts', [PUTS]);
  const opens = entries('go_opens', OPENS);
  return {
    roles,
    probes: [
      begins.length === 0 ? [] : [...begins, ...entries('go_takes', [TAKES])],
      roundTrip.length === 0 || writes.length < WRITES.length ? [] : [...roundTrip, ...writes],
      puts.length === 0 || opens.length === 0 ? [] : [...puts, ...opens],
      entries('go_handles', HANDLES),
    ],
  };
}
