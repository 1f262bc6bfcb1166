/* SPDX-License-Identifier: MIT */
/* SHA-256 as FIPS 180-4 describes it. */
#ifndef MOVER_SHA256_H
#define MOVER_SHA256_H
#include <stddef.h>
#include <stdint.h>

struct sha256 {
	uint32_t state[8];
	uint64_t bytes;
	uint8_t block[64];
};

void sha256_begin(struct sha256 *hash);
void sha256_add(struct sha256 *hash, const void *bytes, size_t count);
/* Writes 64 hex digits and a NUL; `hash` itself stays usable. */
void sha256_text(const struct sha256 *hash, char text[65]);
#endif
