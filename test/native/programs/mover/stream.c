/* SPDX-License-Identifier: MIT */
#include "mover.h"

#include <string.h>

/* A 32-bit mixer: each word of the stream depends on seed and word number only, so any part can be made again. */
static uint32_t word(uint32_t seed, uint32_t number)
{
	uint32_t x = number ^ (seed * 0x9e3779b1u);

	x = (x ^ (x >> 16)) * 0x7feb352du;
	x = (x ^ (x >> 15)) * 0x846ca68bu;
	return x ^ (x >> 16);
}

void stream_fill(uint32_t seed, uint64_t position, void *buffer, size_t count)
{
	uint8_t *at = buffer;

	while (count > 0) {
		uint32_t w = word(seed, (uint32_t)(position / 4));
		size_t skip = position % 4, n = 4 - skip < count ? 4 - skip : count;

		w >>= 8 * skip;
		memcpy(at, &w, n); /* little endian */
		at += n;
		position += n;
		count -= n;
	}
}
