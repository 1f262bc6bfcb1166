/** The functions of Go programs that tell something: what a goroutine is for that began with one, who begins which, and for whom one writes. */
import type { ElfFile } from './elf.ts';
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

/** Programs of bpf/goroutine.bpf.c. */
export type GoProbe = 'go_begins' | 'go_round_trip' | 'go_writes';

export interface GoFunctions {
  /** Address of the function by which each role is known, before the program is loaded; 0: it has none. */
  readonly roles: readonly number[];
  /** Where in the file which probe belongs, those that need each other together. */
  readonly probes: readonly (readonly { readonly probe: GoProbe; readonly offset: number }[])[];
}

export function goFunctions(elf: ElfFile): GoFunctions {
  const all = functionsNamed(elf, [BEGINS, ROUND_TRIP, ...WRITES, ...ROLES.flatMap(({ runs, by }) => [runs, by])]);
  const named = (name: string): GoFunction | undefined => all.find((one) => one.name === name && beginsLikeGo(one));
  const roles = ROLES.map(({ runs, by }) => {
    const run = named(runs);
    const first = run === undefined ? undefined : all.find((one) => one.name.startsWith(by) && one.name !== by && calls(one, run));
    return first?.address ?? 0;
  });
  const newproc = named(BEGINS);
  const roundTrip = named(ROUND_TRIP);
  const writes = WRITES.map(named);
  return {
    roles,
    probes: [
      newproc === undefined ? [] : endsOf(newproc).map((offset) => ({ probe: 'go_begins', offset })),
      roundTrip === undefined || writes.includes(undefined) ? []
        : [{ probe: 'go_round_trip', offset: roundTrip.offset }, ...writes.map((one) => ({ probe: 'go_writes' as const, offset: one?.offset ?? 0 }))],
    ],
  };
}
