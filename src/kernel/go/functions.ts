/** The functions of Go programs that tell something: what a goroutine is for that began with one, who begins which, and for whom one writes. */
import type { ElfFile } from '../elf.ts';
import type { UPROBES } from '../backends.ts';
import { goCode, type GoCode } from './code.ts';
import { functionsNamed, type GoFunction } from './pclntab.ts';

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
const MAKES = 'runtime.newproc1';
/** What the `go` statement calls, within it, and the runtime's own function by which that has the new one run. */
const BEGINS = 'runtime.newproc';
const GO = 'runtime.newproc.func1';
const QUEUES = 'runtime.runqput';
/** iter.Pull's: begins one too, which runs when it is switched to. */
const CORO = 'runtime.newcoro';
const ROUND_TRIP = 'net/http.(*persistConn).roundTrip';
const WRITES = ['net/http.persistConnWriter.Write', 'net/http.persistConnWriter.ReadFrom'];
const GRPC = 'google.golang.org/grpc/internal/transport';
const PUTS = `${GRPC}.(*controlBuffer).executeAndPut`;
/** Of all that put something there, who opens a stream. */
const OPENER = `${GRPC}.(*http2Client).NewStream`;
/** Until 1.81, and since. */
const OPENS = [`${GRPC}.(*loopyWriter).headerHandler`, `${GRPC}.(*loopyWriter).clientHeaderHandler`];
const TAKES = `${GRPC}.(*http2Server).operateHeaders`;
/** Of the functions within, the one that begins goroutines. */
const HANDS = 'google.golang.org/grpc.(*Server).serveStreams.';
const SERVES = 'google.golang.org/grpc.(*Server).handleStream';
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

export function goFunctions(elf: ElfFile): GoFunctions | undefined {
  const code = goCode(elf.machine);
  return code === undefined ? undefined : functionsBy(code, elf);
}

function functionsBy(code: GoCode, elf: ElfFile): GoFunctions {
  const { entryOf, callsOf } = code;
  const all = functionsNamed(elf, [BEGINS, QUEUES, CORO, ROUND_TRIP, ...WRITES, PUTS, OPENER, ...OPENS, TAKES, HANDS, SERVES, ...HANDLES, ...ROLES.flatMap(({ runs, by }) => [runs, by])], code.start);
  const named = (name: string): GoFunction | undefined => all.find((one) => one.name === name && entryOf(one) !== undefined);
  const atEntries = (probe: GoProbe, functions: readonly GoFunction[]): readonly Placed[] => functions.flatMap((one) => {
    const offset = entryOf(one);
    return offset === undefined ? [] : [{ probe, offset }];
  });
  const entries = (probe: GoProbe, names: readonly string[]): readonly Placed[] => atEntries(probe, names.flatMap((name) => named(name) ?? []));
  const roles = ROLES.map(({ runs, by }) => {
    const run = named(runs);
    const first = run === undefined ? undefined : all.find((one) => one.name.startsWith(by) && one.name !== by && callsOf(one, run).length > 0);
    return first?.address ?? 0;
  });
  const begins = beginnings(code, all, named);
  const roundTrip = entries('go_round_trip', [ROUND_TRIP]);
  const writes = entries('go_writes', WRITES);
  const [put, opener] = [named(PUTS), named(OPENER)];
  const puts = put === undefined || opener === undefined ? [] : callsOf(opener, put).map((offset): Placed => ({ probe: 'go_puts', offset }));
  const opens = entries('go_opens', OPENS);
  const begin = named(BEGINS);
  const handing = begin === undefined ? [] : all.filter((one) => one.name.startsWith(HANDS) && callsOf(one, begin).length > 0);
  const serving = [entries('go_takes', [TAKES]), atEntries('go_hands', handing), entries('go_serves', [SERVES])];
  return {
    roles,
    probes: [
      begins,
      roundTrip.length === 0 || writes.length < WRITES.length ? [] : [...roundTrip, ...writes],
      puts.length === 0 || opens.length === 0 ? [] : [...puts, ...opens],
      serving.every((placed) => placed.length > 0) ? serving.flat() : [],
      entries('go_handles', HANDLES),
    ],
  };
}

/**
 * Where one has been made: where it is queued, for that is a call, and the kernel does those itself; by a coroutine's maker, after it
 * has it made. Where that isn't found, at the end of what makes all of them.
 */
function beginnings({ callsOf, endsOf, afterCall }: GoCode, all: readonly GoFunction[], named: (name: string) => GoFunction | undefined): readonly Placed[] {
  const [makes, go, queues] = [named(MAKES), named(GO), named(QUEUES)];
  if (makes === undefined) return [];
  const queued = go === undefined || queues === undefined || callsOf(go, makes).length === 0 ? [] : callsOf(go, queues);
  if (queued.length === 0) return endsOf(makes).map((offset): Placed => ({ probe: 'go_makes', offset }));
  const coroutines = all.filter(({ name }) => name.startsWith(CORO)).flatMap((one) => callsOf(one, makes).map(afterCall));
  return [...queued.map((offset): Placed => ({ probe: 'go_begins', offset })), ...coroutines.map((offset): Placed => ({ probe: 'go_makes', offset }))];
}
