/**
 * What the tests showed on which kernel, and the page that says so. `scripts/vm test` appends one JSON line a result to
 * build/vm-results/results.jsonl (or $KOALA_VM_RESULTS); `scripts/kernel-table` writes docs/kernels.md from it.
 */

export const backends = ['fentry', 'kprobe', 'tracepoint'] as const;

export interface Result {
  /** The series, as `scripts/vm kernels` names it, or of the machine's own kernel. */
  readonly kernel: string;
  /** `uname -r`. */
  readonly release: string;
  /** `uname -m`. */
  readonly arch: string;
  /** The test's name. Results of one test on one kernel with the same `at` belong to one run. */
  readonly test: string;
  /** When the run ended, ISO 8601. */
  readonly at: string;
  /** A probe backend, another thing that was tested, or empty where it concerns the kernel alone. */
  readonly backend: string;
  readonly result: 'pass' | 'fail' | 'skip';
  /** What was shown, or why not, in a few words. */
  readonly shown: string;
}

/** The results of a JSON Lines text. Throws with the line's number where one is no result. */
export function parseResults(text: string): Result[] {
  return text.split('\n').flatMap((line, index) => {
    if (line.trim() === '') return [];
    const value: unknown = parsed(line);
    if (!isResult(value)) throw new Error(`line ${index + 1} is no result: ${line.slice(0, 100)}`);
    return [value];
  });
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function isResult(value: unknown): value is Result {
  if (typeof value !== 'object' || value === null) return false;
  const fields = value as Record<string, unknown>;
  return ['kernel', 'release', 'arch', 'test', 'at', 'backend', 'shown'].every((name) => typeof fields[name] === 'string')
    && ['pass', 'fail', 'skip'].includes(String(fields['result']));
}

/** Of each test on each kernel only its newest run, whole: an old failure is not kept beside a new pass, nor the other way. */
export function newestRuns(results: readonly Result[]): Result[] {
  const newest = new Map<string, string>();
  const key = ({ arch, kernel, test }: Result): string => `${arch}\0${kernel}\0${test}`;
  for (const result of results) {
    if (result.at > (newest.get(key(result)) ?? '')) newest.set(key(result), result.at);
  }
  return results.filter((result) => result.at === newest.get(key(result)));
}

/** The page: one row a kernel and backend, for every known series and every kernel that has results. */
export function kernelPage(results: readonly Result[], series: readonly string[]): string {
  const kept = newestRuns(results);
  const kernels = [...new Set([...series, ...kept.map(({ kernel }) => kernel)])].sort(byVersion);
  const rowsOf = (machine: keyof typeof architectures): string[][] => kernels.flatMap((kernel) => {
    const here = kept.filter((result) => result.kernel === kernel && result.arch === machine);
    if (here.length === 0 && (machine !== 'x86_64' || kept.some((result) => result.kernel === kernel))) return [];
    const others = [...new Set(here.map(({ backend }) => backend))].filter((name) => !isBackend(name)).sort();
    const release = here.at(-1)?.release ?? kernel;
    return [...backends, ...others].map((backend) => [release, architectures[machine], backend || '(all)', cell(here, backend)]);
  });
  const foreign = rowsOf('aarch64');
  const rows = [...rowsOf('x86_64'), ...(foreign.length > 0 ? foreign : [['any', 'arm64', '(all)', 'not run']])];
  const head = ['kernel', 'architecture', 'backend', 'what was shown'];
  return [
    '# Kernels',
    '',
    '<!-- written by scripts/kernel-table from what the tests recorded; not by hand -->',
    '',
    'Each line is the newest run of each test on that kernel with that backend. "not run" means just that. The kernels are',
    "Debian's, run by `scripts/vm` under software emulation: this table is about truth, never about speed.",
    '`scripts/vm all && scripts/kernel-table` makes it again. Those of arm64 are run by hand (`scripts/vm test 6.1-arm64 goroutines`), and what',
    'they showed last is kept in `test/vm/by-hand.jsonl`.',
    '',
    ...[head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`),
    '',
  ].join('\n');
}

/** As `uname -m` has them, and as people do. */
const architectures = { x86_64: 'x86-64', aarch64: 'arm64' } as const;

function isBackend(name: string): boolean {
  return (backends as readonly string[]).includes(name);
}

const words = { pass: '', fail: '**failed**: ', skip: 'skipped: ' } as const;

function cell(results: readonly Result[], backend: string): string {
  const shown = results.filter((result) => result.backend === backend)
    .map(({ test, result, shown: what }) => `${test}: ${words[result]}${what.replaceAll('|', '\\|')}`);
  return shown.length === 0 ? 'not run' : [...new Set(shown)].join('<br>');
}

function byVersion(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}
