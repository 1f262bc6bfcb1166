/** The probe backends: a new one is one `.bpf.c` and one row here. In the order in which `--probe auto` tries them. */
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { EnvironmentError } from '../errors.ts';
import { c, errnoName } from './ffi.ts';
import { libbpf, takeLog } from './libbpf.ts';
import type { KernelBtf } from './btf.ts';

export type ProbeName = 'fentry' | 'kprobe' | 'tracepoint';

export interface Backend {
  readonly name: ProbeName;
  readonly programs: readonly string[];
  /** Programs whose target only some kernels have, with that target. */
  readonly optional: Readonly<Record<string, string>>;
  /** Programs that see what is appended to files, by what they need. */
  readonly appends: Readonly<Record<string, string>>;
  /** Why this host can't run it, and the way out; undefined when nothing speaks against it. */
  readonly refusal: (btf: KernelBtf) => string | undefined;
}

/** Programs that every backend needs. */
export const COMMON_PROGRAMS = [
  'tcp_state', 'tcp_destroyed', 'process_fork', 'process_exec', 'process_exit',
] as const;
/** Tells what the kernel skips `tcp_state` for, where no copies do. */
export const INTERRUPTED_PROGRAM = 'tcp_state_again';
/** Which of a backend's programs sit on tracepoints, as the common ones do. */
export const isTracepointProgram = (name: string): boolean => !/^(fentry|kprobe|go|python)_/.test(name);
export const CGROUP_PROGRAMS = ['cgroup_made', 'cgroup_joined'] as const;
export const ITERATORS = ['existing_listeners', 'existing_connections'] as const;
/** Finds where pages lie, so that no packets need be read. Its iterator came with 6.13, when pages come through sendmsg. */
export const PAGES_ITERATOR = 'where_pages_lie';
export const PAGES_ITERATOR_TARGET = 'bpf_iter_kmem_cache';
/** Placed in Go programs that have use for them. */
export const UPROBES = ['go_begins', 'go_makes', 'go_round_trip', 'go_writes', 'go_puts', 'go_opens', 'go_takes', 'go_hands', 'go_serves', 'go_handles', 'python_makes_rax', 'python_makes_rdi', 'python_puts', 'python_takes_rax', 'python_takes_rbx', 'python_takes_rbp', 'python_takes_r12', 'python_takes_r13', 'python_queues'] as const;
export const hasUprobes = (): boolean => existsSync('/sys/bus/event_source/devices/uprobe');
/** Attached to the root cgroup, where pages can't be found. */
export const PACKETS_PROGRAM = 'packets';

const FUNCTIONS = [
  'send', 'sent', 'send_waits', 'receive', 'received', 'unix_send', 'unix_sent', 'unix_receive', 'unix_received',
  'udp_send', 'udp6_send', 'udp_receive', 'udp6_receive', 'udp_received',
];
/** By the kernel function that they need: not every kernel has it. */
const OPTIONAL: Readonly<Record<string, readonly string[]>> = {
  tcp_sendpage: ['sendpage', 'sentpage'],
  tcp_push: ['pushed'],
  unix_stream_splice_read: ['unix_splice', 'unix_spliced'],
  unix_release: ['unix_release'],
  unix_stream_sendpage: ['unix_sendpage', 'unix_sentpage'],
  unix_shutdown: ['unix_shutdown'],
  mptcp_sendmsg: ['mptcp_send', 'mptcp_sent'],
  mptcp_recvmsg: ['mptcp_receive', 'mptcp_received'],
};
/** What makes up for kretprobes: fexit needs neither. */
const ONLY_KPROBE = ['pushed', 'unix_splice'];
const HOOKED = ['tcp_sendmsg_locked', 'tcp_recvmsg', 'tcp_cleanup_rbuf'];

const functions = (prefix: string): Pick<Backend, 'programs' | 'optional' | 'appends'> => ({
  programs: FUNCTIONS.map((name) => `${prefix}_${name}`),
  optional: Object.fromEntries(Object.entries(OPTIONAL).flatMap(([target, names]) => names
    .filter((name) => prefix === 'kprobe' || !ONLY_KPROBE.includes(name)).map((name) => [`${prefix}_${name}`, target]))),
  appends: { [`${prefix}_append`]: 'generic_write_checks' },
});

const missingFunction = (btf: KernelBtf): string | undefined => {
  const missing = HOOKED.find((name) => btf.functionId(name) === undefined);
  return missing === undefined ? undefined : `this kernel has no function ${missing}`;
};

export const BACKENDS: readonly Backend[] = [
  {
    name: 'fentry',
    ...functions('fentry'),
    refusal: (btf) => missingFunction(btf) ?? preemptionRefusal() ?? trampolineRefusal(btf),
  },
  {
    name: 'kprobe',
    ...functions('kprobe'),
    refusal: (btf) => existsSync('/sys/bus/event_source/devices/kprobe')
      ? missingFunction(btf)
      : 'this kernel was built without kprobes (CONFIG_KPROBES)',
  },
  {
    name: 'tracepoint',
    programs: ['tp_send', 'tp_sent', 'tp_consumed', 'tp_received', 'tp_completed'],
    optional: {},
    appends: {
      tp_appended: 'ext4_write_end', tp_appended_delayed: 'ext4_da_write_end', tp_appended_journalled: 'ext4_journalled_write_end',
      tp_appends_xfs: 'xfs_file_buffered_write', tp_append_completed: 'io_uring_complete',
    },
    refusal: (btf) => {
      const missing = Object.entries({
        tcp_sendmsg_locked: '6.16', sock_send_length: '6.3', sock_recv_length: '6.3', tcp_rcv_space_adjust: '4.18',
      }).find(([name]) => !btf.hasTracepoint(name));
      if (missing !== undefined) return `this kernel has no tracepoint ${missing[0]} (Linux ≥${missing[1]} has)`;
      return process.arch === 'x64' ? undefined : `this backend never ran on ${process.arch}`;
    },
  },
];

/** The backend of a name. */
export function backend(name: ProbeName): Backend {
  const found = BACKENDS.find((row) => row.name === name);
  if (found === undefined) throw new EnvironmentError(`There is no probe backend ${name as string}`);
  return found;
}

/**
 * A program of a trampoline that is preempted makes the kernel skip it for other threads on that CPU (bpf_prog.active): an
 * entry is lost, and what follows would be read from another call's buffer. Holding the CPU from inside a program
 * (bpf_preempt_disable, 6.10) does not help: it is preempted where it lets go. Kprobes run with preemption off.
 */
function preemptionRefusal(): string | undefined {
  return mayPreempt() ? 'this kernel may preempt a probe, and skips it for other threads meanwhile: kprobe is safe' : undefined;
}

/**
 * How often each tracepoint's program is to be loaded so that one that is preempted is made up for by another (bpf/claim.h):
 * 1 but on kernels that preempt them, which they do since tracepoints no longer turn preemption off (SRCU instead, Linux 7.0).
 * With three, two threads have to be preempted in the same place on one CPU before a third is skipped there.
 */
export function tracepointCopies(): number {
  return Number(release().split('.')[0]) >= 7 && mayPreempt() ? 3 : 1;
}

/** Whether the kernel preempts itself; true where it was built to choose and does not say what it chose. */
function mayPreempt(): boolean {
  const read = (path: string): string => {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      return ''; // not mounted, not built in
    }
  };
  const chosen = read('/sys/kernel/debug/sched/preempt') || read('/sys/kernel/debug/sched_preempt');
  if (chosen !== '') return /\((full|lazy)\)/.test(chosen);
  const words = read('/proc/cmdline');
  if (/\bpreempt=(none|voluntary)\b/.test(words)) return false;
  return /\bPREEMPT(_RT|_LAZY|_DYNAMIC)?\b/.test(read('/proc/version'));
}

const BPF_PROG_TYPE_TRACING = 26;
const BPF_TRACE_FENTRY = 24;
/** include/linux/errno.h: the kernel's own, no libc has a name for it. */
const ENOTSUPP = 524;
/** `return 0`: mov r0, 0; exit. */
const RETURN_ZERO = Uint8Array.from([0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0]);

/** Attaches an empty fentry program for a moment: some kernels load it and then refuse to patch their text. */
function trampolineRefusal(btf: KernelBtf): string | undefined {
  const options = new DataView(new ArrayBuffer(96)); // struct bpf_prog_load_opts, libbpf 1.1
  options.setBigUint64(0, 96n, true);
  options.setUint32(12, BPF_TRACE_FENTRY, true);
  options.setUint32(32, btf.functionId('tcp_sendmsg_locked') ?? 0, true);
  const library = libbpf();
  const program = library.bpf_prog_load(
    BPF_PROG_TYPE_TRACING, 'koala_try', 'GPL', RETURN_ZERO, 2, new Uint8Array(options.buffer));
  takeLog();
  if (program < 0) return `the kernel refuses to load an fentry program (${errnoName(-program)})`;
  const link = library.bpf_raw_tracepoint_open(null, program);
  c.close(program);
  if (link < 0) {
    const why = -link === ENOTSUPP && process.arch === 'arm64' ? 'on arm64 that works from Linux 6.4 on' : 'it may not patch its own text';
    return `the kernel refuses to attach an fentry program (${errnoName(-link)}): ${why}`;
  }
  c.close(link);
  return undefined;
}
