/* SPDX-License-Identifier: GPL-2.0-only */
/* Every map and knob of the kernel side. Included by all objects; the linker joins the weak definitions into one. */
#ifndef KOALA_MAPS_H
#define KOALA_MAPS_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "event.h"

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_MPTCP 262
#define MSG_OOB 0x1
#define MSG_PEEK 0x2
#define MSG_TRUNC 0x20
#define MSG_ERRQUEUE 0x2000
#define EFAULT 14
#define SOCK_DONE 1 /* enum sock_flags */

/*
 * A field of a kernel struct. Where the pointer comes from a BTF tracepoint's arguments the verifier knows its type, and a
 * plain load does (an object that defines KOALA_DIRECT); elsewhere it takes a call of bpf_probe_read_kernel, some 20 ns.
 */
#ifdef KOALA_DIRECT
#define LOAD(pointer, field) ((pointer)->field)
/*
 * Wanted beside it: bpf_rdonly_cast (6.2), for what only lies at an address. But libbpf looks a kernel function up in the modules'
 * BTF too, which takes CAP_SYS_ADMIN, and gives the whole object up without it where the kernel lacks the function, weak or not.
 */
#else
#define LOAD(pointer, field) BPF_CORE_READ(pointer, field)
#endif

/* Set by user space before load; after that the verifier knows them as constants. The only thing in .rodata. */
struct knobs {
	__u32 recorder_tgid;       /* never recorded                                  */
	__u32 watch_all;           /* --all                                           */
	__u32 watch_ports;         /* --port was given                                */
	__u32 watch_cgroups;       /* --cgroup or --unit was given                    */
	__u32 watch_exe;           /* --exe was given                                 */
	__u32 recvmsg_flags_index; /* which argument of tcp_recvmsg holds the flags    */
	__u32 copies;              /* how often these programs are loaded (claim.h)    */
	__u32 copy;                /* which of them this is, from 0                    */
	__u64 max_message;         /* --max-message; 0: whole                         */
	__u64 payload_room;        /* how much of the ring payload may fill            */
};
extern const volatile struct knobs knobs;

/* ---- maps ---- */

/* The road to user space. Inserted: every probe. Read: the ring worker. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 << 20);
} ring __weak SEC(".maps");

/*
 * Room in the ring for a record with payload. The rest is kept for what happened (a connection opened, ended; a process was born):
 * lost payload is declared by the positions around it, but a connection whose opening is lost has no account to declare it in.
 */
#define RESERVE_PAYLOAD(size)                                                                \
	(bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) + (size) > knobs.payload_room ? 0 :     \
		bpf_ringbuf_reserve(&ring, size, 0))

/*
 * What is looked at again and again is an array with an element for each CPU, which user space reads as memory. Of a per-CPU map it would
 * take a system call, in the midst of which the kernel runs no kprobe's program on that CPU (docs/limits.md).
 */
#define PER_CPU_ARRAY(type_of_value)                                        \
	__uint(type, BPF_MAP_TYPE_ARRAY);                                   \
	__uint(map_flags, BPF_F_MMAPABLE);                                  \
	__uint(max_entries, 1); /* set by user space: it counts the CPUs */ \
	__type(key, __u32);                                                 \
	__type(value, type_of_value)

/* key: CPU. value: by cause, what was lost there without a connection's position to tell it. Added to: emit. Read: user space, at a tick. */
struct lost {
	__u64 events;
	__u64 bytes;
};
#define CAUSES 16 /* a power of two, see count_loss */
struct cpu_losses {
	struct lost of[CAUSES];
};
struct {
	PER_CPU_ARRAY(struct cpu_losses);
} losses __weak SEC(".maps");

/* key: tgid. value: 1. Inserted: user space (targets), fork of a watched process, exec, cgroup and listen filters. Deleted: exit. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, __u32);
} watched __weak SEC(".maps");

/*
 * key: the low 16 bits of a tgid. value: the one of them that is watched; 0: none is and none was; SLOT_SHARED: ask `watched`.
 * Nearly every process of a host asks at every call: an element of an array costs a few instructions, a hash some 20 ns.
 * Set: with `watched`, after it. Shared: exit. Never emptied.
 */
#define SLOT_SHARED 0xffffffff
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, __u32);
} watched_slots __weak SEC(".maps");

/* key: port in host order. value: 1. Inserted: user space (--port). */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u32);
} ports __weak SEC(".maps");

/* key: cgroup id. value: 1. Inserted: user space, and cgroup_mkdir of a path in cgroup_paths. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u32);
} cgroups __weak SEC(".maps");

/* key: index. value: a path inside the cgroup hierarchy, or an executable's. Set by user space. */
struct path_filter {
	__u32 length; /* 0: unused */
	__u32 device; /* executables: kernel device number of the file, 0 when it doesn't exist yet */
	__u64 inode;
	char path[256];
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, struct path_filter);
} cgroup_paths __weak SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, struct path_filter);
} exe_paths __weak SEC(".maps");

/*
 * Who listens where. Inserted: listen of a watched process, the scan for what is older. value: tgid. Never deleted, for several
 * sockets may share a port: the least used ones make room.
 */
struct listener_key {
	__u32 netns;
	__u32 port;
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct listener_key);
	__type(value, __u32);
} listeners __weak SEC(".maps");

enum connection_flags {
	CONNECTION_OPENED = 1,      /* SAMPLE_OPEN went out                           */
	CONNECTION_LOCAL_FIN = 2,
	CONNECTION_REMOTE_FIN = 4,
	CONNECTION_RESET = 8,
	CONNECTION_BY_REMOTE = 16,
	CONNECTION_CONNECTING = 32, /* connect was called, not established             */
	CONNECTION_PACKETS = 64,    /* payload from packet_from on comes from packets   */
	CONNECTION_UNREPORTED = 128, /* its end could not be written to the ring        */
	CONNECTION_CLOSED = 256,    /* in state CLOSE: nothing more is sent             */
	CONNECTION_UNIX = 512,      /* of a unix socket, whose end not every backend sees */
};

/*
 * key: address of the struct sock. Inserted: at connect, at establishment on a watched listener, at first sight.
 * Deleted: when the socket is destroyed. Changed: under the socket's lock but for AF_UNIX (one call at a time there).
 */
struct connection {
	__u64 id;
	__u64 ingress_from;
	__u64 egress_from;
	__u64 ingress_position; /* after the last byte the process consumed  */
	__u64 egress_position;  /* after the last byte the process handed over */
	__u64 packet_from;      /* CONNECTION_PACKETS: payload from here on is read from the packets */
	__u64 packet_to;
	__u64 packet_next;      /* payload up to here was read */
	__u64 pending_position; /* a receive whose buffer only its completion knows (io_uring) */
	__u64 pending_length;
	__u64 inode;
	__u64 key;              /* its own, as a number */
	__u32 ingress_sequence; /* TCP sequence numbers of the two positions */
	__u32 egress_sequence;
	__u32 tgid;
	__u32 tid;
	__u32 error;
	enum connection_flags flags;
	__u8 role;
	__u8 learnt;
	__u8 pad0[6];
	__u64 connected_ns; /* when connect was called; 0: accepted or seen */
	__u8 comm[16];      /* of who called connect                        */
	__u64 context;      /* goroutine that connected or accepted         */
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, __u64);
	__type(value, struct connection);
} connections __weak SEC(".maps");

/* 0: a zeroed connection to insert from, for the stack has no room for one; nobody writes it. 1: the iterator's, to fill. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct connection);
} blank __weak SEC(".maps");

/* key: connection id. value: the state of a connection whose end found no room in the ring. Inserted: close. Drained: user space. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, __u64);
	__type(value, struct connection);
} unreported __weak SEC(".maps");

/* Where the bytes of a call lie in its process: one range (nr 0) or iovecs. */
struct pieces {
	__u64 base;  /* nr 0: user address; else address of the iovec array */
	__u64 skip;  /* bytes of the first piece that don't count            */
	__u32 count; /* iovecs */
	__u32 kind;  /* enum pieces_kind */
};
enum pieces_kind {
	PIECES_NONE = 0,
	PIECES_RANGE = 1,
	PIECES_KERNEL_IOVEC = 2, /* an array in the kernel's memory, of ranges of the process' */
	PIECES_USER_IOVEC = 3,
	PIECES_PAGES = 4,        /* no address: what is sent is read from the packets           */
	/* From here on the bytes themselves lie in the kernel's memory. */
	PIECES_KVEC = 5,
	PIECES_BVEC = 6,         /* pages, whose memory we can find                              */
};

/* The call a thread is in, and how far its message has been read. Kept for the thread's next ones. */
struct call {
	struct sample head; /* of the samples it makes */
	struct pieces pieces;
	__u64 sock;      /* 0: the thread is in no call                         */
	__u64 position;  /* stream position at entry                            */
	__u64 size;      /* bytes asked                                         */
	__u64 done;      /* bytes of the message handed to the ring, or given up */
	__u64 address;   /* the current piece: what is left of it               */
	__u64 left;
	__u64 remaining; /* of what is being emitted now                        */
	__u32 index;     /* next iovec                                          */
	__u32 failed;    /* cause, 0: none                                      */
	__u32 flags;
	__u32 inlined;   /* the whole message went out at entry                 */
	__u32 filled;    /* of the sample being gathered                        */
	__u32 want;
	__u32 sequence;  /* tracepoint: where its read ends                     */
	__u32 place;     /* its thread's key in `threads`                       */
	__u64 message_name; /* user address of the datagram's peer              */
	__u32 more;      /* what it emits now is not the last of it              */
	__u32 early;     /* the kernel has yet to touch what it emits now       */
	__u64 pad1[6];   /* a power of two, see call_in                         */
};

/*
 * key: tid % THREADS, or where that is another's one of the next few steps of THREAD_STRIDE. An array, whose elements cost a few
 * instructions: a look-up in a hash takes three calls, 30 ns where the kernel guards its returns (SRSO), several times in each
 * system call. Taken: at a thread's first call, by who inserts the key into taken_threads. Given back: when the thread ends.
 */
struct thread {
	__u64 owner; /* pid_tgid, 0: nobody */
	__u64 waits_at; /* user address of the futex that it sleeps on, 0: none; by wakes.bpf.c */
	__u64 waits_ns; /* since when                                                         */
	__u64 pad0[5];
	struct call calls[2]; /* its send, its receive */
};
#define THREADS 32768
#define THREAD_STRIDE 4099
#define THREAD_STEPS 16
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, THREADS);
	__type(key, __u32);
	__type(value, struct thread);
} threads __weak SEC(".maps");

/* key: of `threads`. value: 1. Inserted: before the element is written; of two threads one gets it. Deleted: after it is free again. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, THREADS);
	__type(key, __u32);
	__type(value, __u32);
} taken_threads __weak SEC(".maps");

/* key: a connection number that was given away lately. Inserted: who takes it. Deleted: by age. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, __u64);
	__type(value, __u32);
} taken_ids __weak SEC(".maps");

/* What all programs count together; read and preset by user space. */
struct shared {
	__u64 next_connection;
	__u64 packet_connections; /* sockets on the packets road: 0 lets the egress program return at once */
	__u64 scanned;            /* 1: existing connections are known; a unix socket first seen from now on is new */
	__u64 pages_at;           /* a page's memory lies at its struct page * PAGE_FACTOR + this; 0: not known     */
	__u64 pages_for;          /* votes (pages.bpf.c)                                                         */
	__u64 pages_against;
};
#define PAGE_FACTOR 64 /* PAGE_SIZE / sizeof(struct page) */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct shared);
} shared __weak SEC(".maps");

/* key: 0. value: whom signal_actions looks for, and what it found. Set: user space, before the iterator. Filled: signal_actions. */
struct signal_action {
	__u32 tgid;
	__u32 signal;
	__u32 found; /* 1: the rest is filled */
	__u32 pad0;
	__u64 handler; /* 0: the default, 1: ignored (SIG_DFL, SIG_IGN), else an address of the process */
	__u64 flags;   /* as sigaction(2) takes them */
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct signal_action);
} signal_asked __weak SEC(".maps");

#endif
