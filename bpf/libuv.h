/* SPDX-License-Identifier: GPL-2.0-only */
/* A uv_stream_t (libuv 1, 64 bits, Linux): offsets in bytes, and types. uvloop's streams are such, and Node's. */
#ifndef KOALA_LIBUV_H
#define KOALA_LIBUV_H

#define DATA 0      /* whose it is: a UVStream, or Node's object */
#define LOOP 8
#define TYPE 16
#define UNSENT 96   /* size_t write_queue_size */
#define FD 184      /* io_watcher.fd           */
#define UV_NAMED_PIPE 7
#define UV_TCP 12

#endif
