/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel types the programs touch, and of these only the fields they read. CO-RE finds the true offsets in the
 * running kernel's BTF, so order and size here mean nothing; names do. A type with ___suffix is another kernel's
 * shape of the same type (libbpf ignores the suffix).
 */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

typedef unsigned char __u8;
typedef signed char __s8;
typedef unsigned short __u16;
typedef short __s16;
typedef unsigned int __u32;
typedef int __s32;
typedef unsigned long long __u64;
typedef long long __s64;
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __s32 s32;
typedef __u64 u64;
typedef __s64 s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef _Bool bool;
typedef int pid_t;

enum { false = 0, true = 1 };

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PROG_ARRAY = 3,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_RINGBUF = 27,
};

enum {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
};

enum {
	BPF_F_MMAPABLE = 1024,
};

enum {
	BPF_RB_NO_WAKEUP = 1,
};

enum {
	BPF_RB_AVAIL_DATA = 0, /* bytes that user space has yet to take */
};

/* Relocated against the kernel's enum: tells whether a helper exists. */
enum bpf_func_id {
	BPF_FUNC_task_pt_regs = 175,
	BPF_FUNC_loop = 181,
	BPF_FUNC_get_func_ret = 184,
};

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
#endif

struct in6_addr {
	union {
		__u8 u6_addr8[16];
		__be32 u6_addr32[4];
	} in6_u;
};

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	unsigned long skc_flags;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};

struct socket;

struct sock {
	struct sock_common __sk_common;
	int sk_err;
	struct socket *sk_socket;
	u16 sk_protocol;
	u16 sk_type;
	u8 sk_shutdown;
};

/* sk_protocol and sk_type were bit fields until 5.6; nothing older than 5.10 is supported. */

struct inet_sock {
	struct sock sk;
	__be32 inet_saddr;
	__be16 inet_sport;
};

struct tcp_sock {
	u32 write_seq;
	u32 snd_una;
	u32 copied_seq;
	u32 rcv_nxt;
	u64 bytes_acked;
	u64 bytes_received;
	u32 snd_nxt;
	u64 bytes_sent;
	u64 bytes_retrans;
	u16 urg_data;
	bool is_mptcp;
};

struct inode {
	unsigned short i_mode;
	unsigned long i_ino;
	struct super_block *i_sb;
	u32 i_generation;
	long long i_size;
};

struct super_block {
	unsigned int s_dev;
};

struct qstr {
	u32 len;
	const unsigned char *name;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
};

struct vfsmount {
	struct dentry *mnt_root;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	void *private_data;
	struct path f_path;
	struct inode *f_inode;
	unsigned int f_flags;
};

struct socket {
	short type;
	struct file *file;
	struct sock *sk;
};

struct sockaddr_un {
	unsigned short sun_family;
	char sun_path[108];
};

struct unix_address {
	int len;
	struct sockaddr_un name[0];
};

struct unix_sock {
	struct sock sk;
	struct unix_address *addr;
	struct sock *peer;
};

/* ≥6.4: the iovec pointer is __iov; 6.0 brought ITER_UBUF (ubuf). Commits de4f5fed3f23, fcb14cb1bdac. */
struct iov_iter {
	u8 iter_type;
	unsigned long iov_offset;
	const struct iovec *__iov;
	void *ubuf;
	unsigned long count;
	unsigned long nr_segs;
};

/* 5.14 to 6.3: `iov`. */
struct iov_iter___iov {
	const struct iovec *iov;
};

/* Until 5.13: type bits and direction in one word (`type`: ITER_IOVEC 4, KVEC 8, BVEC 16, PIPE 32, DISCARD 64). */
struct iov_iter___old {
	unsigned int type;
};

/* The values moved with 6.0, 6.4 and 6.10; asked from the kernel's BTF. */
enum iter_type {
	ITER_UBUF = 100,
	ITER_IOVEC = 101,
	ITER_BVEC = 102,
	ITER_KVEC = 103,
};

struct msghdr {
	void *msg_name;
	int msg_namelen;
	struct iov_iter msg_iter;
	unsigned int msg_flags;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

/* Any pointer in memory, for loads through CAST. */
struct files_struct {
	struct fdtable *fdt;
};

struct kernfs_node {
	u64 id;
	const char *name;
	struct kernfs_node *__parent;
};

struct kernfs_node___parent {
	struct kernfs_node *parent;
};

struct cgroup {
	int level;
	struct kernfs_node *kn;
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct mm_struct {
	struct file *exe_file;
};

struct signal_struct {
	unsigned int flags;
	int group_exit_code;
	int notify_count;
};

struct thread_struct {
	unsigned long fsbase; /* x86-64 has it */
};

struct task_struct {
	pid_t pid;
	pid_t tgid;
	int exit_code;
	unsigned int flags;
	void *stack;
	struct task_struct *group_leader;
	struct task_struct *real_parent;
	struct files_struct *files;
	struct css_set *cgroups;
	struct mm_struct *mm;
	struct signal_struct *signal;
	char comm[16];
	struct thread_struct thread;
};

struct linux_binprm {
	const char *filename;
};

/* io_uring: the request and what its receive command holds (io_uring/net.c, io_uring/rw.c). */
struct io_cmd_data {
	struct file *file;
	__u8 data[56];
};

struct io_kiocb {
	struct file *file;
	struct io_cmd_data cmd;
	u8 opcode;
	void *async_data;
};

struct io_sr_msg {
	void *buf;
	int len;
};

/* A write (or read) under way. */
struct kiocb {
	struct file *ki_filp;
	long long ki_pos;
};

struct io_rw {
	struct kiocb kiocb;
	u64 addr;
	u32 len;
};

struct io_uring_cqe {
	__u64 user_data;
	__s32 res;
	__u32 flags;
};

struct io_ring_ctx;

struct seq_file;

struct page {
	unsigned long flags;
};

struct list_head {
	struct list_head *next, *prev;
};

struct kmem_cache_order_objects {
	unsigned int x;
};

struct kmem_cache_node {
	struct list_head partial;
};

struct kmem_cache {
	struct kmem_cache_order_objects oo;
	struct kmem_cache_node *node[1];
};

struct slab {
	struct kmem_cache *slab_cache;
	struct list_head slab_list;
	void *freelist;
};

struct bpf_iter_meta {
	struct seq_file *seq;
	u64 session_id;
	u64 seq_num;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	u32 fd;
	struct file *file;
};

struct bpf_iter__kmem_cache {
	struct bpf_iter_meta *meta;
	struct kmem_cache *s;
};

/* Registers at the system call, or at a probe. */
#if defined(__TARGET_ARCH_arm64)
struct pt_regs {
	unsigned long regs[31];
	unsigned long sp, pc, pstate, orig_x0;
	int syscallno;
};
#else
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};
#endif

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif

/* User-visible and wire layouts: never relocated. */
#if defined(__TARGET_ARCH_arm64)
/* A pt_regs begins so; bpf_tracing.h of libbpf wants it. */
struct user_pt_regs {
	__u64 regs[31];
	__u64 sp;
	__u64 pc;
	__u64 pstate;
};
#endif

struct bpf_sk_lookup {
	__u64 cookie; /* a union with the chosen socket */
	__u32 family;
	__u32 protocol;
	__u32 remote_ip4; /* network order */
	__u32 remote_ip6[4];
	__be16 remote_port;
	__u16 pad;
	__u32 local_ip4; /* network order */
	__u32 local_ip6[4];
	__u32 local_port; /* host order */
	__u32 ingress_ifindex;
};
enum sk_action {
	SK_DROP = 0,
	SK_PASS = 1,
};

struct __sk_buff {
	__u32 len;
	__u32 pkt_type;
	__u32 mark;
	__u32 queue_mapping;
	__u32 protocol;
	__u32 vlan_present;
	__u32 vlan_tci;
	__u32 vlan_proto;
	__u32 priority;
	__u32 ingress_ifindex;
	__u32 ifindex;
	__u32 tc_index;
	__u32 cb[5];
	__u32 hash;
	__u32 tc_classid;
	__u32 data;
	__u32 data_end;
	__u32 napi_id;
	__u32 family;
	__u32 remote_ip4;
	__u32 local_ip4;
	__u32 remote_ip6[4];
	__u32 local_ip6[4];
	__u32 remote_port;
	__u32 local_port;
	__u32 data_meta;
	__u64 flow_keys;
	__u64 tstamp;
	__u32 wire_len;
	__u32 gso_segs;
	__u64 sk; /* struct bpf_sock * */
};

struct bpf_raw_tracepoint_args {
	__u64 args[0];
};

struct user_msghdr {
	void *msg_name;
	int msg_namelen;
	int pad;
	struct iovec_user *msg_iov;
	unsigned long msg_iovlen;
	void *msg_control;
	unsigned long msg_controllen;
	unsigned int msg_flags;
	int pad2;
};

struct mmsghdr {
	struct user_msghdr msg_hdr;
	unsigned int msg_len;
	int pad;
};

struct iovec_user {
	void *iov_base;
	unsigned long iov_len;
};

#endif
