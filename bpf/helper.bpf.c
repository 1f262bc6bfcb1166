// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nobody receives what is sent to 127.127.127.127:127. Who sends it is told by the send probes; here, where the kernel looks for
 * the socket that a datagram is for, it finds none, whoever is bound to that address or to all. Attached to a network
 * namespace, run for datagrams to sockets that are not connected, and for TCP's SYNs; gone with the recorder.
 */
#include "datagram.h"

SEC("sk_lookup")
int helper_reaches_nobody(struct bpf_sk_lookup *lookup)
{
	return lookup->family == AF_INET && lookup->protocol == IPPROTO_UDP && lookup->local_port == HELPER_PORT &&
			       lookup->local_ip4 == HELPER_ADDRESS ?
		       SK_DROP :
		       SK_PASS;
}
