/** `koala-bpf doctor`: what this host allows, which backend will run, why the others won't, and what to do about it. */
import { existsSync, readFileSync } from 'node:fs';
import { arch, release } from 'node:os';
import { spawnSync } from 'node:child_process';
import type { ArgumentsCamelCase, Argv } from 'yargs';
import { EXIT } from '../errors.ts';
import { appendSightOf, unseenByProcesses, unseenWords, type AppendSight } from '../kernel/append-sight.ts';
import { BACKENDS } from '../kernel/backends.ts';
import { loadLibbpf } from '../kernel/ffi.ts';
import { cgroupRoot, objectPath, refusals } from '../kernel/probes.ts';
import { seesFirstPidNamespace } from '../kernel/processes.ts';
import { checkTargets } from '../record/targets.ts';
import { measureTls } from '../record/tls-share.ts';
import type { TlsShare } from '../record/tls-share.ts';
import { withJson } from './command.ts';
import { durationFlag } from './environment.ts';
import { stdoutColours } from './output.ts';
import { koalaVersion } from '../store/facts.ts';

interface Flags {
  pid: string | undefined;
  duration: string;
  json: boolean;
}

interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly found: string;
  /** The way out, where it is not ok. */
  readonly wayOut?: string;
  /** Without it nothing can be recorded. */
  readonly needed: boolean;
}

export const command = 'doctor';
export const describe = 'what this host allows, and what to do about what it doesn\'t';

export const builder = (yargs: Argv): Argv => withJson(yargs)
  .option('pid', { type: 'string', requiresArg: true, describe: 'also listen to this process for a while: how much of its traffic is TLS' })
  .option('duration', { type: 'string', requiresArg: true, default: '5s', describe: 'for how long' })
  .example('$0 doctor', 'can I record here?')
  .example('$0 doctor --pid 4711', 'and will I understand what this process says?');

export async function handler(given: ArgumentsCamelCase): Promise<void> {
  const flags = given as unknown as Flags;
  const [tgid] = flags.pid === undefined ? [] : checkTargets({ pid: [flags.pid] }).pids;
  const durationMs = durationFlag('duration', flags.duration);
  const checks = hostChecks();
  const ready = checks.every(({ ok, needed }) => ok || !needed);
  const probes = ready ? [...refusals()].map(([name, refusal]) => ({ name, refusal })) : [];
  const chosen = probes.find(({ refusal }) => refusal === undefined)?.name;
  if (chosen !== undefined) checks.push(appendsCheck(appendSightOf(chosen), tgid));
  const tls = tgid !== undefined && chosen !== undefined ? await measureTls(tgid, durationMs) : undefined;
  if (flags.json) {
    process.stdout.write(`${JSON.stringify({
      event: 'doctor', version: koalaVersion(), kernel: release(), arch: arch(), checks,
      probes: probes.map(({ name, refusal }) => ({ probe: name, works: refusal === undefined, ...(refusal !== undefined && { refusal }) })),
      ...(chosen !== undefined && { chosen }), ...(tls !== undefined && { tls }),
    })}\n`);
  } else {
    print(checks, probes, chosen, tls);
  }
  process.exitCode = chosen === undefined ? EXIT.environment : EXIT.ok;
}

function hostChecks(): Check[] {
  const root = process.geteuid?.() === 0;
  const btf = existsSync('/sys/kernel/btf/vmlinux');
  const lockdown = /\[(\w+)\]/.exec(readIfThere('/sys/kernel/security/lockdown'))?.[1] ?? 'none';
  const first = seesFirstPidNamespace();
  const cgroups = cgroupRoot();
  const iptables = spawnSync('iptables', ['--version'], { encoding: 'utf8' });
  return [
    check('root', root, root ? 'yes' : 'no', 'run it with sudo', true),
    check('kernel BTF', btf, btf ? 'yes' : 'no /sys/kernel/btf/vmlinux', 'use a kernel built with CONFIG_DEBUG_INFO_BTF=y', true),
    check('lockdown', lockdown !== 'confidentiality', lockdown, 'confidentiality mode forbids BPF to read memory: boot without it', true),
    libbpfCheck(),
    objectCheck(),
    check('process ids', first, first ? 'the host\'s' : 'a container\'s own', 'start the container with the host\'s pids (--pid=host, hostPID: true)', true),
    check('cgroup2', cgroups !== undefined, cgroups ?? 'not mounted',
      'mount -t cgroup2 none /sys/fs/cgroup/unified; without it --cgroup and --unit don\'t work, and what sendfile sends is a declared gap', false),
    ...(process.arch === 'x64' ? [] : [check('python contexts', false, `not read on ${process.arch}`, 'calls of asyncio services are tied by other evidence', false),
      check('java virtual threads', false, `not read on ${process.arch}`, 'calls made on them are tied by other evidence', false)]),
    check('iptables', iptables.status === 0, iptables.status === 0 ? iptables.stdout.trim() : 'not installed', 'install iptables: replay needs it', false),
  ];
}

function check(name: string, ok: boolean, found: string, wayOut: string, needed: boolean): Check {
  return { name, ok, found, needed, ...(!ok && { wayOut }) };
}

/** Where process `tgid`, or else this one, has files mounted. */
function appendsCheck(sight: AppendSight, tgid: number | undefined): Check {
  const unseen = unseenByProcesses(sight, tgid === undefined ? [] : [tgid]);
  return check('appends', unseen.length === 0, unseen.length === 0 ? 'seen' : `not seen on ${unseenWords(unseen)}`,
    'let what is to be seen be appended to files elsewhere, or record on a kernel with kprobes', false);
}

function libbpfCheck(): Check {
  try {
    return check('libbpf', true, loadLibbpf().libbpf_version_string(), '', true);
  } catch (error) {
    return check('libbpf', false, (error as Error).message.split('\n')[0] ?? '', 'install libbpf ≥1.1 (Debian: apt install libbpf1)', true);
  }
}

function objectCheck(): Check {
  try {
    objectPath();
    return check('kernel object', true, 'yes', '', true);
  } catch {
    return check('kernel object', false, `none for ${arch()}`, 'run scripts/setup in the checkout', true);
  }
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function print(checks: readonly Check[], probes: readonly { name: string; refusal: string | undefined }[],
  chosen: string | undefined, tls: TlsShare | undefined): void {
  const colours = stdoutColours();
  const mark = (ok: boolean, needed: boolean): string => ok ? colours.green('ok  ') : needed ? colours.red('no  ') : colours.yellow('less');
  const lines = [`koala-bpf ${koalaVersion()} on Linux ${release()} (${arch()})`, ''];
  const row = (ok: boolean, needed: boolean, name: string, text: string): string => `  ${mark(ok, needed)} ${name.padEnd(18)} ${text}`;
  for (const { name, ok, needed, found, wayOut } of checks) {
    lines.push(row(ok, needed, name, wayOut === undefined ? found : `${found}: ${wayOut}`));
  }
  lines.push('');
  for (const { name } of BACKENDS) {
    const probe = probes.find((one) => one.name === name);
    if (probe === undefined) continue;
    const text = probe.refusal ?? (name === chosen ? 'works: attach uses it' : 'works');
    lines.push(row(probe.refusal === undefined, false, `probe ${name}`, text));
  }
  if (probes.length > 0) lines.push('');
  lines.push(chosen === undefined ? '  Nothing can be recorded here until the lines marked "no" are answered.'
    : `  This host records with the ${chosen} probe: sudo koala-bpf attach --pid N`);
  if (tls !== undefined) lines.push('', ...tlsLines(tls));
  process.stdout.write(`${lines.join('\n')}\n`);
}

function tlsLines(tls: TlsShare): string[] {
  if (tls.bytes === 0) return [`  In ${tls.durationMs / 1000} s process ${tls.tgid} moved nothing: how much of it is TLS can't be told.`];
  const share = Math.round((100 * tls.tlsBytes) / tls.bytes);
  return [
    `  In ${tls.durationMs / 1000} s process ${tls.tgid} moved ${tls.bytes} bytes on ${tls.connections} connections; `
      + `${share}% of the bytes, ${tls.tlsConnections} of the connections, are TLS.`,
    ...(tls.tlsConnections === 0 ? [] : ['  TLS is recorded as it is on the wire: such sessions are listed with it and can\'t be replayed yet.',
      '  Way out: let the service speak in clear text to a local proxy that adds TLS.']),
  ];
}
