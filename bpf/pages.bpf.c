// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the memory of a page lies, so that what sendfile, splice and MSG_SPLICE_PAGES hand over as pages (since 6.5 they come
 * through sendmsg) can be read at the call, like any buffer. x86-64 maps all memory in one piece and describes it by one array
 * of struct page, so address(page) = page * (PAGE_SIZE / sizeof(struct page)) + constant; the constant changes with each boot
 * (KASLR) and is told nowhere: not every kernel lists its data symbols, or has /proc/kcore. But the allocator knows pairs: a slab is a
 * struct page, and its list of free objects begins inside that page. Every partial slab of one page gives one vote, here, once.
 */
#include "maps.h"
#include <bpf/bpf_tracing.h>

#define PAGE_BYTES 4096
#define OO_SHIFT 16 /* mm/slub.c: the order stands above it */
#define SLABS_A_CACHE 4

SEC("iter/kmem_cache")
int where_pages_lie(struct bpf_iter__kmem_cache *ctx)
{
	struct kmem_cache *cache = ctx->s;
	struct kmem_cache_node *node;
	struct shared *all;
	void *head, *entry;
	__u32 zero = 0;

	/* A kernel that names these things otherwise is left to the packets. */
	if (!cache || bpf_core_type_size(struct page) != PAGE_BYTES / PAGE_FACTOR ||
	    !bpf_core_field_exists(struct slab, freelist) || !bpf_core_field_exists(struct slab, slab_list) ||
	    !bpf_core_field_exists(struct slab, slab_cache) || !bpf_core_field_exists(struct kmem_cache, oo) ||
	    !bpf_core_field_exists(struct kmem_cache, node) || !bpf_core_field_exists(struct kmem_cache_node, partial))
		return 0;
	all = bpf_map_lookup_elem(&shared, &zero);
	if (!all || BPF_CORE_READ(cache, oo.x) >> OO_SHIFT)
		return 0;
	node = BPF_CORE_READ(cache, node[0]);
	if (!node)
		return 0;
	head = (void *)node + bpf_core_field_offset(struct kmem_cache_node, partial);
	entry = BPF_CORE_READ(node, partial.next);
	for (int i = 0; i < SLABS_A_CACHE && entry && entry != head; i++) {
		struct slab *slab = entry - bpf_core_field_offset(struct slab, slab_list);
		__u64 object = (__u64)BPF_CORE_READ(slab, freelist);
		__u64 constant = (object & ~(PAGE_BYTES - 1ull)) - (__u64)slab * PAGE_FACTOR;

		entry = BPF_CORE_READ(slab, slab_list.next);
		/* Nobody holds the list's lock: it may have been taken, and what is read be anything. */
		if (!object || BPF_CORE_READ(slab, slab_cache) != cache)
			continue;
		if (!all->pages_at)
			all->pages_at = constant;
		if (all->pages_at == constant)
			all->pages_for++;
		else
			all->pages_against++;
	}
	return 0;
}
