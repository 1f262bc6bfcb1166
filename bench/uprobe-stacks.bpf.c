// SPDX-License-Identifier: GPL-2.0-only
/* The same program twice, with a tail call and without: whether its variables are its own to the end (bench/uprobe-stacks.py). */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>

/* Runs; those that ended with another's variables; those that another had its turn in, on the same processor. */
enum { RUNS, OVERWRITTEN, INTERLEAVED };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 3);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

/* key: a processor, modulo 2. value: the thread whose run began last there. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} latest SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} nowhere SEC(".maps");

static __always_inline void count(__u32 what)
{
	__u64 *value = bpf_map_lookup_elem(&counts, &what);

	if (value)
		__sync_fetch_and_add(value, 1);
}

static __always_inline int linger(struct pt_regs *regs)
{
	__u64 who = bpf_get_current_pid_tgid(), seen;
	__u32 cpu = bpf_get_smp_processor_id() & 1;
	volatile __u64 *last = bpf_map_lookup_elem(&latest, &cpu);
	volatile __u64 own[24];

	if (!last)
		return 0;
	for (int i = 0; i < 24; i++)
		own[i] = regs->rdi;
	*last = who;
	for (int i = 0; i < 400; i++)
		bpf_probe_read_user(&seen, sizeof(seen), (void *)regs->rsp);
	count(RUNS);
	if (own[5] != regs->rdi || own[20] != regs->rdi)
		count(OVERWRITTEN);
	if (*last != who)
		count(INTERLEAVED);
	return 0;
}

SEC("uprobe")
int without(struct pt_regs *regs)
{
	return linger(regs);
}

SEC("uprobe")
int with(struct pt_regs *regs)
{
	bpf_tail_call(regs, &nowhere, 0);
	return linger(regs);
}

char LICENSE[] SEC("license") = "GPL";
