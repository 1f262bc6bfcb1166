// SPDX-License-Identifier: GPL-2.0-only
// One program a hook; each counts how often it fires. The loader (hooks.guest) loads them one by one, so that a hook
// this kernel refuses fails alone.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

// key: the program's number below; value: how often it fired. The programs write, the loader reads.
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} fired SEC(".maps");

static __always_inline int count(int result)
{
  __u32 zero = 0;
  __u64 *n = bpf_map_lookup_elem(&fired, &zero);

  if (n)
    __sync_fetch_and_add(n, 1);
  return result;
}

#define COUNT(name, section, result) SEC(section) int name(void *ctx) { return count(result); }
#define KPROBE(function) COUNT(kprobe_##function, "kprobe/" #function, 0)
#define KRETPROBE(function) COUNT(kretprobe_##function, "kretprobe/" #function, 0)
#define FENTRY(function) COUNT(fentry_##function, "fentry/" #function, 0)
#define FEXIT(function) COUNT(fexit_##function, "fexit/" #function, 0)
#define TRACEPOINT(event) COUNT(tracepoint_##event, "tp_btf/" #event, 0)

KPROBE(tcp_sendmsg)
KRETPROBE(tcp_sendmsg)
KPROBE(tcp_sendmsg_locked)
KPROBE(tcp_recvmsg)
KRETPROBE(tcp_recvmsg)
KPROBE(tcp_cleanup_rbuf)
KPROBE(sk_stream_wait_memory)
KPROBE(unix_stream_sendmsg)
KPROBE(unix_stream_recvmsg)
KPROBE(udp_sendmsg)
KPROBE(udp_recvmsg)
FENTRY(tcp_sendmsg)
FEXIT(tcp_sendmsg)
FENTRY(tcp_recvmsg)
FEXIT(tcp_recvmsg)
FENTRY(tcp_cleanup_rbuf)
FENTRY(unix_stream_sendmsg)
FEXIT(unix_stream_recvmsg)
TRACEPOINT(tcp_sendmsg_locked)
TRACEPOINT(tcp_rcv_space_adjust)
TRACEPOINT(sock_send_length)
TRACEPOINT(sock_recv_length)
TRACEPOINT(inet_sock_set_state)
TRACEPOINT(tcp_destroy_sock)
TRACEPOINT(task_newtask)
COUNT(cgroup_skb_egress, "cgroup_skb/egress", 1)

char LICENSE[] SEC("license") = "GPL";
