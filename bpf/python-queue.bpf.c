// SPDX-License-Identifier: GPL-2.0-only
/*
 * Work that a ThreadPoolExecutor of Python's hands over. What is submitted to one becomes a _WorkItem, which goes through a SimpleQueue to a
 * thread that runs it, and is freed when it has. Each is numbered like a context that is made by who puts it there: it is one, for all that
 * its thread does meanwhile.
 *
 *   thread 1, context 7   put(item 9)
 *   thread 2                           get -> item 9   call   call   (item 9 is freed)   get -> ...
 */
#include "python.h"
#include "registers.h"
#include <bpf/bpf_tracing.h>

struct work_item {
	__u64 number;
	__u64 type;     /* of the object */
	__u64 taken_by; /* who; 0: it is in the queue */
	__u64 taken_ns;
};

/* key: a work item, by address and process. Inserted: put. Deleted: by age; another may come to lie there, and replaces it. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, struct go_object);
	__type(value, struct work_item);
} work_items SEC(".maps");

/* key: who. value: the work item that it took last; checked at each use. Deleted: where it takes one that was not seen put, and by age. */
struct taken_item {
	__u64 address;
	__u64 number;
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, struct taken_item);
} taken_items SEC(".maps");

/* In a PyObject: its references, of 32 bits or more, none once it is freed; its type; and in that, which has PyVarObject's head, its name. */
#define OBJECT_TYPE 8
#define TYPE_NAME 24
/* Others may be put by one thread and taken by another for whatever reason: connections that are lent, for one. */
#define WORK_ITEM "_WorkItem"
/* What is taken is told of twice, where one function returns it to another that does. */
#define MAX_RETURN_NS 1000000

static __always_inline bool is_work_item_type(__u64 type)
{
	char name[sizeof(WORK_ITEM)] = {}, differ = 0;

	if (bpf_probe_read_user(name, sizeof(name), (void *)word_at(type + TYPE_NAME)))
		return false;
	/* There is no memcmp to call. */
	for (int i = 0; i < (int)sizeof(name); i++)
		differ |= name[i] ^ WORK_ITEM[i];
	return !differ;
}

__u64 work_item_of(__u64 who)
{
	const struct taken_item *taken = bpf_map_lookup_elem(&taken_items, &who);
	const struct work_item *item;
	struct go_object key = { .tgid = who >> 32 };

	if (!taken)
		return 0;
	key.address = taken->address;
	item = bpf_map_lookup_elem(&work_items, &key);
	if (!item || item->number != taken->number || !(__u32)word_at(key.address) || word_at(key.address + OBJECT_TYPE) != item->type)
		return 0;
	return item->number;
}

static __always_inline int puts(__u64 address)
{
	__u64 who = bpf_get_current_pid_tgid();
	struct go_object key = { .address = address, .tgid = who >> 32 };
	struct python_program *program = bpf_map_lookup_elem(&python_programs, &key.tgid);
	struct work_item item = { .type = word_at(address + OBJECT_TYPE) };

	if (!program || !is_work_item_type(item.type))
		return 0;
	/* Who gets here holds the interpreter's lock: there is no other at it. */
	item.number = FIRST_TASK + ++program->tasks;
	if (tell_task(who, item.number, python_task_of(who), true))
		bpf_map_update_elem(&work_items, &key, &item, BPF_ANY);
	else
		bpf_map_delete_elem(&work_items, &key);
	return 0;
}

/*
 * Of a work item that was not seen put there, it is not known whose it is. Whatever else is taken does not end what the thread is at: that
 * ends when it is freed.
 */
static __always_inline int takes(__u64 address)
{
	__u64 who = bpf_get_current_pid_tgid(), now = bpf_ktime_get_ns();
	struct go_object key = { .address = address, .tgid = who >> 32 };
	struct taken_item taken = { .address = address };
	struct work_item *item;

	if (!address || !is_work_item_type(word_at(address + OBJECT_TYPE)))
		return 0;
	item = bpf_map_lookup_elem(&work_items, &key);
	if (!item || (item->taken_by && (item->taken_by != who || now - item->taken_ns > MAX_RETURN_NS))) {
		bpf_map_delete_elem(&taken_items, &who);
		return 0;
	}
	if (!item->taken_by) {
		item->taken_by = who;
		item->taken_ns = now;
	}
	taken.number = item->number;
	bpf_map_update_elem(&taken_items, &who, &taken, BPF_ANY);
	return 0;
}

/* Entry of SimpleQueue.put, METH_FASTCALL: its second argument points to what it is given (src/kernel/python/queues.ts). */
SEC("uprobe")
int python_puts(struct pt_regs *regs)
{
	ON_THREADS_STACK(regs);
	return puts(word_at(PT_REGS_PARM2(regs)));
}

/* Where SimpleQueue.get, or get_nowait, has what it returns, by the register that this is in (src/kernel/python/made.ts). */
SEC("uprobe")
int python_takes_rax(struct pt_regs *regs)
{
	ON_THREADS_STACK(regs);
	return takes(PT_REGS_RC(regs));
}

#if defined(__TARGET_ARCH_x86)
SEC("uprobe")
int python_takes_rbx(struct pt_regs *regs)
{
	ON_THREADS_STACK(regs);
	return takes(regs->bx);
}

SEC("uprobe")
int python_takes_rbp(struct pt_regs *regs)
{
	ON_THREADS_STACK(regs);
	return takes(regs->bp);
}

SEC("uprobe")
int python_takes_r12(struct pt_regs *regs)
{
	ON_THREADS_STACK(regs);
	return takes(regs->r12);
}

SEC("uprobe")
int python_takes_r13(struct pt_regs *regs)
{
	ON_THREADS_STACK(regs);
	return takes(regs->r13);
}
#endif
