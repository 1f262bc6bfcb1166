// SPDX-License-Identifier: GPL-2.0-only
/*
 * Goroutines: who runs, who began it, and for whom a connection's own goroutine writes. The last is net/http's client: a request
 * is handed to the goroutine that writes on its connection (persistConn.writeLoop), which no system call shows. Functions of the
 * program do, probed where they begin, call or end (never by a return probe, which Go's stacks do not survive): since Go 1.17 (arm64:
 * 1.18) the first arguments, the result and the goroutine are in registers.
 */
#include "emit.h"
#include "registers.h"
#include <bpf/bpf_tracing.h>

/* Ids beyond are no ids: something else was read. */
#define MAX_GOID FIRST_TASK

struct goroutine {
	__u64 goid;
	__u32 tgid;
	__u32 pad0;
};

/* Goroutines that user space was told of. value: the id of the one that began it; 0: not known. Deleted: by age; then they are told of again. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct goroutine);
	__type(value, __u64);
} goroutines SEC(".maps");

/*
 * key: a persistConn, by address and process. value: the goroutine that has handed it a request which nobody has begun to write;
 * 0: none has since. Inserted: roundTrip. Deleted: by age.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct go_object);
	__type(value, __u64);
} go_connections SEC(".maps");

static __always_inline __u64 id_at(const struct go_program *program, __u64 g)
{
	__u64 goid = g ? word_at(g + program->goid) : 0;

	return goid < MAX_GOID ? goid : 0;
}

/*
 * The id of the goroutine that began the one at `g`. Go keeps it since 1.21. Before, it is known only while that one begins it: it is
 * what the thread runs whose own `runner` does the work for it (runtime.systemstack). 0: not known, or nobody's.
 */
static __always_inline __u64 parent_id(const struct go_program *program, __u64 g, __u64 runner)
{
	__u64 parent = 0, m;

	if (program->parent) {
		parent = word_at(g + program->parent);
	} else if (program->current && runner) {
		m = word_at(runner + program->m);
		parent = m ? id_at(program, word_at(m + program->current)) : 0;
	}
	return parent < MAX_GOID ? parent : 0;
}

/* `began_by`: the g of the thread where it begins; 0: it is met later. */
static __always_inline void tell_goroutine(const struct go_program *program, __u64 who, __u64 g, __u64 goid, __u64 began_by)
{
	struct goroutine_payload payload = {};
	struct goroutine key = { .goid = goid, .tgid = who >> 32 };
	__u64 parent, function = 0;
	__u8 role = GOROUTINE_UNKNOWN;

	if (!program->complete || bpf_map_lookup_elem(&goroutines, &key))
		return;
	parent = parent_id(program, g, began_by);
	if (program->function && !bpf_probe_read_user(&function, sizeof(function), (void *)(g + program->function))) {
		role = GOROUTINE_OTHER;
		for (__u32 i = 0; i < GO_ROLES; i++)
			if (function && program->roles[i] == function)
				role = i + 1;
	}
	if (began_by && role == GOROUTINE_READS_AHEAD)
		return; /* one a request, and few are ever met */
	payload.parent = parent;
	payload.function = function;
	payload.role = role;
	payload.began = began_by != 0;
	if (!emit_goroutine(who, goid, &payload))
		return; /* its next event tells of it */
	bpf_map_update_elem(&goroutines, &key, &parent, BPF_ANY);
}

/* The id of goroutine `g`, which is told of when it is new; 0: there is none. */
static __always_inline __u64 meet(const struct go_program *program, __u64 who, __u64 g, __u64 began_by)
{
	__u64 goid = id_at(program, g);

	if (goid)
		tell_goroutine(program, who, g, goid, began_by);
	return goid;
}

/* Where the goroutine that runs on the current thread is, as far as the thread itself says; 0: not known. */
static __always_inline __u64 current_g(const struct go_program *program)
{
	__u64 g = 0;
#if defined(__TARGET_ARCH_x86)
	if (bpf_probe_read_user(&g, sizeof(g), (void *)(thread_pointer() + program->g_at)))
		return 0;
#else
	const struct pt_regs *regs = CALL_REGISTERS(bpf_get_current_task_btf(), bpf_get_current_task());
	__u64 sp = BPF_CORE_READ(regs, sp);
	struct {
		__u64 low;
		__u64 high;
	} stack; /* what a `g` begins with */

	g = BPF_CORE_READ(regs, GO_G);
	/* C code that Go called may have something else there, and runs on another stack. */
	if (bpf_probe_read_user(&stack, sizeof(stack), (void *)g) || sp < stack.low || sp >= stack.high)
		return 0;
#endif
	return g;
}

__u64 goroutine_of(__u64 who)
{
	__u32 tgid = who >> 32;
	const struct go_program *program = bpf_map_lookup_elem(&go_programs, &tgid);

	return program ? meet(program, who, current_g(program), 0) : python_task_of(who);
}

__u64 goroutine_at(__u64 who, __u64 g)
{
	__u32 tgid = who >> 32;
	const struct go_program *program = bpf_map_lookup_elem(&go_programs, &tgid);

	return program ? meet(program, who, g, 0) : 0;
}

__u64 goroutine_parent(__u64 who, __u64 g, __u64 goid)
{
	struct goroutine key = { .goid = goid, .tgid = who >> 32 };
	const struct go_program *program = bpf_map_lookup_elem(&go_programs, &key.tgid);
	__u64 *told;

	if (!program)
		return 0;
	if (program->parent)
		return parent_id(program, g, 0);
	told = bpf_map_lookup_elem(&goroutines, &key);
	return told ? *told : 0;
}

/* `runner`: the g of the thread, on which Go begins the other one. */
static __always_inline int begins(__u64 g, __u64 runner)
{
	__u64 who = bpf_get_current_pid_tgid();
	__u32 tgid = who >> 32;
	const struct go_program *program = bpf_map_lookup_elem(&go_programs, &tgid);

	if (program)
		meet(program, who, g, runner);
	return 0;
}

/*
 * runtime.newproc, which the `go` statement calls, calls runtime.runqput(p, g, next). Without this probe a goroutine is met when it
 * first sends or receives, one that never does is not met at all, and those that it began are nobody's.
 */
SEC("uprobe")
int go_begins(struct pt_regs *regs)
{
	ON_THREADS_STACK(regs);
	return begins(regs->GO_SECOND, regs->GO_G);
}

/* runtime.newproc1 has made a goroutine, and that one only comes back with it: by runtime.newcoro, or where it isn't known how it is queued. */
SEC("uprobe")
int go_makes(struct pt_regs *regs)
{
	ON_THREADS_STACK(regs);
	return begins(regs->GO_RESULT, regs->GO_G);
}

/* net/http.(*persistConn).roundTrip: the goroutine that calls it has the connection until the answer is read. */
SEC("uprobe")
int go_round_trip(struct pt_regs *regs)
{
	__u64 who = bpf_get_current_pid_tgid(), goid;
	struct go_object key = { .address = regs->GO_FIRST, .tgid = who >> 32 };
	const struct go_program *program = bpf_map_lookup_elem(&go_programs, &key.tgid);

	ON_THREADS_STACK(regs);
	if (!program)
		return 0;
	goid = meet(program, who, regs->GO_G, 0);
	bpf_map_update_elem(&go_connections, &key, &goid, BPF_ANY);
	return 0;
}

/*
 * net/http.persistConnWriter.Write and .ReadFrom: the goroutine that calls it is about to write on the connection. Each request that
 * was handed over is told of once, by its first write: a run of these programs that is missing leaves a request without its
 * owner, and never with the owner of the one before.
 */
SEC("uprobe")
int go_writes(struct pt_regs *regs)
{
	__u64 who = bpf_get_current_pid_tgid(), *handed;
	struct go_object key = { .address = regs->GO_FIRST, .tgid = who >> 32 };
	const struct go_program *program = bpf_map_lookup_elem(&go_programs, &key.tgid);
	struct sample sample;

	ON_THREADS_STACK(regs);
	if (!program)
		return 0;
	handed = bpf_map_lookup_elem(&go_connections, &key);
	if (!handed || !*handed)
		return 0;
	fill_sample_of(&sample, SAMPLE_ON_BEHALF, DIRECTION_NONE, 0, who);
	sample.context = meet(program, who, regs->GO_G, 0);
	sample.position = *handed;
	*handed = 0;
	if (sample.context)
		emit_bare(&sample);
	return 0;
}
