/** Go programs of the tests built with a release other than the installed one: the go command fetches it, as it does any module, and keeps it. */

/** From that release (the 18 of 1.18) to the next line's, what it can build of what the services need. */
const DEPENDENCIES: readonly (readonly [from: number, versions: readonly string[]])[] = [
  [18, ['jackc/pgx/v5@v5.2.0', 'redis/go-redis/v9@v9.7.0', 'grpc@v1.50.1', 'protobuf@v1.31.0', 'sync@v0.1.0', 'net@v0.7.0']],
  [19, ['jackc/pgx/v5@v5.5.5', 'redis/go-redis/v9@v9.7.0', 'grpc@v1.58.3', 'protobuf@v1.31.0', 'sync@v0.3.0', 'net@v0.17.0']],
  [21, ['jackc/pgx/v5@v5.6.0', 'redis/go-redis/v9@v9.7.0', 'grpc@v1.66.3', 'protobuf@v1.34.2', 'sync@v0.8.0', 'net@v0.28.0']],
  [23, ['jackc/pgx/v5@v5.7.5', 'redis/go-redis/v9@v9.7.0', 'grpc@v1.75.1', 'protobuf@v1.36.6', 'sync@v0.16.0', 'net@v0.43.0']],
];
/** From here on the services' own go.mod will do. */
const OWN_FROM = 25;

const minorOf = (release: string): number => Number(release.split('.')[1]);

/** Which gRPC-Go, x/net and pgx the services are built with; undefined: what their go.mod says. */
function dependenciesOf(release: string): readonly string[] | undefined {
  const minor = minorOf(release);
  return minor >= OWN_FROM ? undefined : DEPENDENCIES.findLast(([from]) => minor >= from)?.[1];
}

/** For the page: `gRPC-Go 1.50.1, x/net 0.7.0`. Undefined: as the installed Go's. */
export function toldDependencies(release: string): string | undefined {
  const version = (name: string): string | undefined => dependenciesOf(release)?.find((one) => one.startsWith(`${name}@`))?.split('@v')[1];
  return dependenciesOf(release) === undefined ? undefined : `gRPC-Go ${version('grpc')}, x/net ${version('net')}, pgx ${version('jackc/pgx/v5')}`;
}

const pathOf = (one: string): string => one.includes('/') ? `github.com/${one}` : /^(grpc|protobuf)@/.test(one) ? `google.golang.org/${one}` : `golang.org/x/${one}`;

interface GoBuild {
  /** The file that comes of it. */
  readonly program: string;
  /** Absent: the installed one, and what go.mod says. */
  readonly release?: string | undefined;
  readonly flags?: readonly string[];
  readonly env?: readonly string[];
  /** Needs nothing but Go's own packages. */
  readonly alone?: true;
}

/** The commands for `built`. */
export function goBuild({ program, release, flags = [], env = [], alone }: GoBuild): string[][] {
  // Go 1.19 loses its own packages where it lies in a module cache, by its index of them.
  const index = release !== undefined && minorOf(release) === 19 ? ['GODEBUG=goindex=0'] : [];
  const by = ['env', ...(release === undefined ? [] : [`GOTOOLCHAIN=go${release}`, ...index]), ...env, 'go'];
  const build = [...by, 'build', ...flags, '-o', program, '.'];
  const dependencies = release === undefined ? undefined : dependenciesOf(release);
  if (dependencies === undefined) return [build];
  const made = [['rm', '-f', 'go.mod', 'go.sum'], [...by, 'mod', 'init', 'program']];
  if (alone) return [...made, build];
  // What this one does not need is left out again.
  return [...made, [...by, 'mod', 'edit', ...dependencies.map((one) => `-require=${pathOf(one)}`)], [...by, 'mod', 'tidy'], build];
}
