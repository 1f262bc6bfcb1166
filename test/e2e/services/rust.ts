/** A Rust service: axum on tokio, reqwest with four calls at a time; in tasks that any of tokio's threads runs. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { built, type Built } from '../stacks/built.ts';
import { Daemon, accepts, freePort, removeDir, temporaryDir } from './daemon.ts';
import { httpUpstream } from './dependency.ts';
import { stopAll, type Service } from './service.ts';

const rustBuilt = (): Built => built('rust-service', ['cargo', 'cc'], [['cargo', 'build', '--quiet']], fileURLToPath(new URL('rust', import.meta.url)));

/** What the libraries need, as rust/Cargo.toml says. */
const RUST = [1, 85] as const;

/** Why it can't be run here; undefined when it can. */
export function whyNotRust(): string | undefined {
  // cargo may be a doorman of rustup's without a compiler behind it, or a distribution's that is too old.
  for (const tool of ['cargo', 'rustc']) {
    const { stdout, stderr, error } = spawnSync(tool, ['--version'], { encoding: 'utf8', timeout: 30_000 });
    const [, major, minor] = /^\w+ (\d+)\.(\d+)/.exec(stdout ?? '') ?? [];
    if (minor === undefined) return `${tool} does not run: ${(error?.message ?? stderr).trim().split('\n')[0]}`;
    if (Number(major) * 1_000 + Number(minor) < RUST[0] * 1_000 + RUST[1]) return `${tool} ${major}.${minor} is older than ${RUST.join('.')}`;
  }
  const made = rustBuilt();
  return 'why' in made ? made.why : undefined;
}

export async function rustService(): Promise<Service> {
  const program = rustBuilt();
  if ('why' in program) throw new Error(program.why);
  const dir = temporaryDir('rust');
  const [upstream, port] = await Promise.all([httpUpstream(), freePort()]);
  const daemon = await Daemon.start({
    name: 'rust', command: join(program.dir, 'target/debug/shop'), dir, args: [],
    env: { SHOP_PORT: String(port), SHOP_UPSTREAM_PORT: String(upstream.port) },
    ready: () => accepts(port),
  });
  return {
    port, keepAlive: true,
    parts: [{ name: 'Rust axum on tokio, reqwest', discipline: 'event-loop', pid: daemon.pid, dependencies: [upstream] }],
    ask: (rid, index) => ({ rid, target: `/work/${rid}?calls=${1 + (index % 3)}` }),
    expects: ({ target }) => ({ http: Number(new URL(target, 'http://shop').searchParams.get('calls')) + 1 }),
    stop: async () => {
      await daemon.stop();
      await stopAll([upstream]);
      removeDir(dir);
    },
  };
}
