/* SPDX-License-Identifier: MIT */
/*
 * What the kernel side tells user space: the only header both sides share. Every ring record is a
 * struct sample, then `captured` bytes of payload. TypeScript's offsets are generated from the object's
 * BTF (scripts/generate-layout), never typed in. No implicit padding: compiled with -Wpadded.
 */
#ifndef KOALA_EVENT_H
#define KOALA_EVENT_H

enum sample_kind {
	SAMPLE_OPEN = 1,     /* payload: struct open_payload                                          */
	SAMPLE_INTENT = 2,   /* a send begins at `position`, `length` bytes are asked; DATA follows     */
	SAMPLE_DATA = 3,     /* payload: `captured` bytes of the stream at `position`                   */
	SAMPLE_ACCEPTED = 4, /* the send that began at `position` moved only `length` bytes (0: none)   */
	SAMPLE_GAP = 5,      /* `length` bytes at `position` are known missing, for `cause`             */
	SAMPLE_CLOSE = 6,    /* payload: struct close_payload                                          */
	SAMPLE_LISTEN = 7,   /* payload: struct listen_payload                                         */
	SAMPLE_PROCESS = 8,  /* payload: struct process_payload                                        */
	SAMPLE_HELPER = 9,   /* payload: body of a datagram to 127.127.127.127:127; `length`: its sendto flags,
	                        `position`: the body's whole size                                         */
	SAMPLE_UDP = 10,     /* payload: struct udp_payload, then the datagram                          */
	SAMPLE_LOST = 11,    /* `length` bytes in `position` events were lost for `cause`, connection unknown */
	SAMPLE_SENT = 12,    /* packets road: the call of `tid` moved bytes [position, position+length); their
	                        payload comes as DATA with SAMPLE_FROM_PACKET, maybe later, tid 0         */
	SAMPLE_GOROUTINE = 13, /* goroutine `context` begins, or is met; payload: struct goroutine_payload         */
	SAMPLE_ON_BEHALF = 14, /* what goroutine `context` writes next is a request of goroutine `position` (0: not known);
	                        `length`, where it is not 0: and that is the stream of HTTP/2 that it opens       */
	SAMPLE_SERVES = 15,  /* goroutine `context` serves stream `length` of the connection of HTTP/2 that goroutine
	                        `position` reads, or one that it began                                    */
	SAMPLE_APPEND = 16,  /* payload: the first `captured` of `length` bytes that were appended at `position` of file `connection` */
	SAMPLE_FILE = 17,    /* appended to from now on: file `connection`; payload: struct file_payload               */
	SAMPLE_WAKE = 18,    /* thread `tid` wakes thread `position` of its process, which has waited in a futex call for
	                        `length` ns: since before `tid` last read from a connection                         */
	SAMPLE_HEAP = 19,    /* what thread `tid` of a JVM, which carries `context`, has allocated so far, and works with; payload:
	                        struct heap_payload                                                       */
	SAMPLE_GIVEN = 20,   /* what virtual thread `context` of Java's was given to do; payload: struct given_payload */
};

enum direction {
	DIRECTION_NONE = 0,
	DIRECTION_INGRESS = 1, /* the process received */
	DIRECTION_EGRESS = 2,  /* the process sent     */
};

/* Why bytes are missing. The names user space shows are generated from these (CAUSE_RING_FULL: "ring-full"). */
enum cause {
	CAUSE_NONE = 0,
	CAUSE_RING_FULL = 1,        /* no room in the ring buffer                             */
	CAUSE_UNREADABLE = 2,       /* the buffer could not be read (-EFAULT)                 */
	CAUSE_NO_BUFFER = 3,        /* consumed without a buffer we know: io_uring, zero copy */
	CAUSE_SPLICE = 4,           /* received by splice                                     */
	CAUSE_DISCARDED = 5,        /* MSG_TRUNC: the kernel threw the bytes away, as asked   */
	CAUSE_MAX_MESSAGE = 6,      /* over the user's --max-message                          */
	CAUSE_MAP_FULL = 7,         /* the connection table is full                           */
	CAUSE_NOT_TRANSMITTED = 8,  /* queued by sendfile & co, never left before the end     */
	CAUSE_PROBE_MISSED = 9,     /* an exit probe was skipped by the kernel                */
	CAUSE_TOO_MANY_PIECES = 10, /* more iovecs than the probe walks                       */
	CAUSE_MPTCP = 11,           /* MPTCP: not captured                                    */
	CAUSE_SEEN_LATE = 12,       /* before the recorder saw the connection                 */
	CAUSE_UNKNOWN = 13,         /* positions jumped and nobody said why                   */
	CAUSE_PAUSE = 14,           /* the recorder was not running                           */
};

enum sample_flags {
	SAMPLE_FROM_PACKET = 1, /* payload read from a packet at egress, not from the caller's buffer */
	SAMPLE_SNAPSHOT = 2,    /* repeated at the head of a segment (set by user space)              */
	SAMPLE_MORE = 4,        /* another sample of the same call follows                           */
};

/* Numbers of Python's contexts begin here, where no goroutine's id gets to: those are counted up from 1. */
#define FIRST_TASK (1ULL << 48)
/* And those of Java's virtual threads, so many of them, here: the id that Thread.threadId() has, and this. */
#define FIRST_VIRTUAL_THREAD (1ULL << 49)
#define VIRTUAL_THREADS (1ULL << 48)

struct sample {
	__u32 captured; /* payload bytes that follow                       */
	__u8 kind;
	__u8 direction;
	__u8 cause;
	__u8 flags;
	__u64 at_ns;      /* CLOCK_MONOTONIC                               */
	__u64 connection; /* our number, 0: none                           */
	__u64 position;   /* stream position of the first byte, 64 bit      */
	__u64 length;     /* bytes of the stream this sample accounts for   */
	__u64 context;    /* goroutine id, number of a Python context (FIRST_TASK and on) or of a virtual thread of Java's; 0: none known */
	__u32 tgid;
	__u32 tid;
};

enum role { ROLE_UNKNOWN = 0, ROLE_INBOUND = 1, ROLE_OUTBOUND = 2 };
enum learnt { LEARNT_SEEN = 0, LEARNT_ACCEPT = 1, LEARNT_CONNECT = 2 };

struct open_payload {
	__u8 local[16]; /* IPv4 in the first 4 bytes */
	__u8 remote[16];
	__u16 local_port; /* host order */
	__u16 remote_port;
	__u16 family; /* AF_INET 2, AF_INET6 10, AF_UNIX 1 */
	__u8 role;
	__u8 learnt;
	__u32 netns; /* inode number of the network namespace */
	__u32 socket_inode;
	__u64 ingress_from; /* position at which the recorder began to see each stream */
	__u64 egress_from;
	__u8 path[112]; /* AF_UNIX: the listener's path, NUL-padded; abstract: first byte '@' */
	__u8 comm[16];
	__u64 peer; /* AF_UNIX: the kernel's identity of the peer socket (both ends recorded: same pair) */
};

enum close_phase {
	CLOSE_LOCAL_FIN = 1,  /* the process shut its sending side                    */
	CLOSE_REMOTE_FIN = 2, /* the peer shut its sending side                       */
	CLOSE_DONE = 3,       /* the socket's life is over; positions are final         */
	CLOSE_FAILED = 4,     /* connect did not succeed: errno says why              */
	CLOSE_STANDS = 5,     /* by user space: it lives on, the positions are true now */
};

struct close_payload {
	__u8 phase;
	__u8 by_remote; /* of a reset: who sent it */
	__u8 reset;
	__u8 pad0;
	__u32 error;         /* errno, 0: orderly */
	__u64 ingress_final; /* bytes the process consumed, position after the last */
	__u64 egress_final;  /* bytes the process handed over                        */
};

struct listen_payload {
	__u8 local[16];
	__u16 port;
	__u16 family;
	__u32 netns;
	__u8 open; /* 1 listens, 0 stopped */
	__u8 pad0[7];
	__u8 path[112];
};

enum process_what {
	PROCESS_FORK = 1,        /* by tgid/tid; child: the new process                  */
	PROCESS_EXEC = 2,
	PROCESS_EXIT = 3,        /* the process is gone                                 */
	PROCESS_THREAD = 4,      /* by tid; child: the new thread                        */
	PROCESS_THREAD_EXIT = 5,
	PROCESS_SEEN = 6,        /* was there when the recorder came                     */
};

struct process_payload {
	__u8 what;
	__u8 with_process; /* thread-exit: it is made to end, for its process does, or becomes another program */
	__u8 pad0[2];
	__u32 child_tgid;
	__u32 child_tid;
	__u32 parent_tgid;
	__u32 exit_code; /* as wait(2) has it */
	__u32 pad1;
	__u8 comm[16];
	__u8 path[256]; /* exec: the file, NUL-terminated */
};

/* What a goroutine is for, as far as the function tells that it began with (src/kernel/go/functions.ts has the names). */
enum goroutine_role {
	GOROUTINE_OTHER = 0,
	GOROUTINE_SERVES = 1,      /* serves one connection, one request at a time                 */
	GOROUTINE_READS_AHEAD = 2, /* reads the first byte of what comes next, for its parent       */
	GOROUTINE_WRITES_FOR = 3,  /* writes whatever others hand it, on a connection of its own     */
	GOROUTINE_READS_FOR = 4,   /* reads whatever others have asked, on a connection of its own   */
	GOROUTINE_UNKNOWN = 5,     /* it could not be read where it began                           */
	GOROUTINE_TASK = 6,        /* no goroutine: a context of Python's, as each asyncio task has one */
};

struct goroutine_payload {
	__u64 parent;   /* goroutine id, 0: none known                                              */
	__u64 function; /* address at which it began: the same for all that do the same             */
	__u8 role;
	__u8 began;     /* 1: it begins now; 0: it was met, and may have begun long ago              */
	__u8 pad0[6];
};

#define HEAP_OBJECTS 6

/* Addresses in the heap of a JVM. A thread allocates one object behind the other in a piece that is its own. */
struct heap_payload {
	__u64 start; /* of that piece                                                               */
	__u64 top;   /* where it allocates next                                                     */
	__u64 end;
	__u64 objects[HEAP_OBJECTS]; /* on its stack, its oldest calls' first; none that it has allocated in this piece, none that has been moved */
	__u32 collections; /* times that objects were moved so far */
	__u32 held;        /* 1: the one object is no such, but what it writes is of that; 0, it: of which is not known */
};

#define GIVEN_OBJECTS 8

/* Addresses in the heap of a JVM, in what it was given: in each place where a pointer may be, what it points to; 0: nothing. */
struct given_payload {
	__u64 class; /* of what it was given, as objects say it */
	__u64 objects[GIVEN_OBJECTS];
	__u32 collections; /* times that objects were moved so far */
	__u32 pad0;
};

#define PATH_END 1024
#define NAME_MAX 255 /* linux/limits.h */

struct file_payload {
	__u64 inode;
	__u32 device; /* the kernel's number: 12 bits major, 20 bits minor             */
	__u32 from;   /* the path is path[from..PATH_END)                              */
	__u32 cut;    /* 1: its beginning is missing, for it is too long or too deep    */
	__u32 pad0;
	__u8 path[2 * PATH_END];
};

struct udp_payload {
	__u8 local[16];
	__u8 remote[16];
	__u16 local_port;
	__u16 remote_port;
	__u16 family;
	__u8 pad0[2];
	__u32 netns;
	__u32 pad1;
};

#endif
