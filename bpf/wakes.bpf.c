// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who is told that a thread is done. A pool's thread that has read an answer wakes the thread that waits for the result:
 *
 *   waiter   futex(WAIT, w) ................................. goes on
 *   worker       send call   read answer   futex(WAKE, w)
 *
 * Of all wake-ups only those are told where the waiter slept on that very futex since before the worker last read, and the worker wakes
 * it by a system call of its own: no timer, no packet that came in meanwhile. Attached only where it is of use, for these
 * tracepoints fire at each switch and each wake-up of the host. The scheduler's locks are held: nothing preempts these programs.
 */
#include "filter.h"
#include "registers.h"
#include <bpf/bpf_tracing.h>

/* linux/futex.h */
#define FUTEX_WAIT 0
#define FUTEX_WAKE 1
#define FUTEX_WAKE_OP 5
#define FUTEX_WAIT_BITSET 9
#define FUTEX_WAKE_BITSET 10
#define FUTEX_OPERATION 0x7f /* without its flags */
#define FUTEX_CLOCK_REALTIME 0x100
#define PATIENCE_NS 50000000 /* 50 ms */

/* A futex call: its word; 0: it is none, or none that waits (`wakes`: none that wakes). */
static __always_inline __u64 futex_of(const struct pt_regs *regs, bool wakes)
{
	__u32 operation = BPF_CORE_READ(regs, CALL_SECOND) & FUTEX_OPERATION;

	if (BPF_CORE_READ(regs, CALL_NUMBER) != NR_FUTEX)
		return 0;
	if (wakes ? operation != FUTEX_WAKE && operation != FUTEX_WAKE_BITSET && operation != FUTEX_WAKE_OP :
		    operation != FUTEX_WAIT && operation != FUTEX_WAIT_BITSET)
		return 0;
	return BPF_CORE_READ(regs, CALL_FIRST);
}

struct timespec_user {
	__s64 seconds;
	__s64 nanoseconds;
};

/*
 * Does the current thread wait so shortly that it waits for no call? Who wants CPython's lock asks anew each 5 ms. By the wall clock,
 * which is not known here, it may be.
 */
static __always_inline bool is_impatient(const struct pt_regs *regs)
{
	__u32 operation = BPF_CORE_READ(regs, CALL_SECOND);
	struct timespec_user until = {};
	__u64 ns, user = BPF_CORE_READ(regs, CALL_FOURTH);

	if (!user)
		return false;
	if (operation & FUTEX_CLOCK_REALTIME || bpf_probe_read_user(&until, sizeof(until), (void *)user))
		return true;
	ns = until.seconds * 1000000000 + until.nanoseconds;
	return (operation & FUTEX_OPERATION) == FUTEX_WAIT ? ns < PATIENCE_NS : ns < bpf_ktime_get_ns() + PATIENCE_NS;
}

/* `task` stops running. Preempted, it sleeps no more than it did. */
SEC("tp_btf/sched_switch")
int BPF_PROG(wakes_switch, bool preempted, struct task_struct *task)
{
	const struct pt_regs *regs;
	struct thread *thread;
	__u64 at;

	if (preempted || !is_watched(task->tgid))
		return 0;
	thread = find_thread((__u64)task->tgid << 32 | (__u32)task->pid);
	if (!thread)
		return 0;
	regs = CALL_REGISTERS(task, task);
	at = futex_of(regs, false);
	if (at && is_impatient(regs))
		at = 0;
	thread->waits_at = at;
	if (at)
		thread->waits_ns = bpf_ktime_get_ns();
	return 0;
}

/* The current thread, or an interrupt of it, wakes `task`. */
SEC("tp_btf/sched_waking")
int BPF_PROG(wakes_wake, struct task_struct *task)
{
	__u64 who = bpf_get_current_pid_tgid(), at, now;
	struct thread *sleeper, *waker;
	struct sample sample = {};

	if (!is_watched(task->tgid))
		return 0;
	sleeper = find_thread((__u64)task->tgid << 32 | (__u32)task->pid);
	if (!sleeper || !sleeper->waits_at)
		return 0;
	at = sleeper->waits_at;
	sleeper->waits_at = 0; /* whoever woke it */
	if (who >> 32 != task->tgid)
		return 0;
	waker = find_thread(who);
	if (!waker || sleeper->waits_ns > waker->calls[1].head.at_ns)
		return 0;
	if (futex_of(CALL_REGISTERS(bpf_get_current_task_btf(), bpf_get_current_task()), true) != at)
		return 0;
	now = bpf_ktime_get_ns();
	sample.kind = SAMPLE_WAKE;
	sample.at_ns = now;
	sample.position = (__u32)task->pid;
	sample.length = now - sleeper->waits_ns;
	sample.tgid = who >> 32;
	sample.tid = (__u32)who;
	emit_bare(&sample);
	return 0;
}
