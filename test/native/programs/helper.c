/*
 * koala's helper datagrams by every way a C program can send them; written from docs/helpers.md. Waits for a line, then sends each
 * and prints what the call made of it, a JSON line each: {"road", "flags", "result", "errno"}. Its body says which it is.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const unsigned ids[] = { 0, 2, 0x1235, 0x4230, 0x10001, 0x110c4, 0xf9110236 };

static int body(char *text, const char *road, unsigned flags)
{
	return sprintf(text, "to-koala!read-storage\n%s %u", road, flags);
}

static void say(const char *road, unsigned flags, long result)
{
	printf("{\"road\":\"%s\",\"flags\":%u,\"result\":%ld,\"errno\":%d}\n", road, flags, result, result < 0 ? errno : 0);
}

int main(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(127), .sin_addr.s_addr = htonl(0x7f7f7f7f) };
	struct sockaddr_in6 mapped = { .sin6_family = AF_INET6, .sin6_port = htons(127) };
	int plain = socket(AF_INET, SOCK_DGRAM, 0);
	int connected = socket(AF_INET, SOCK_DGRAM, 0), six = socket(AF_INET6, SOCK_DGRAM, 0), connected6 = socket(AF_INET6, SOCK_DGRAM, 0);
	char text[128], line[8];
	int length;

	inet_pton(AF_INET6, "::ffff:127.127.127.127", &mapped.sin6_addr);
	connect(connected, (struct sockaddr *)&to, sizeof(to));
	if (six >= 0)
		connect(connected6, (struct sockaddr *)&mapped, sizeof(mapped));
	printf("{\"ready\":true}\n");
	fflush(stdout);
	if (read(0, line, sizeof(line)) <= 0)
		return 1;
	for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		/* A socket each: MSG_MORE (0x8000) would keep one's datagram for the next. */
		int fresh = socket(AF_INET, SOCK_DGRAM, 0), fresh_quick = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

		length = body(text, "sendto", ids[i]);
		say("sendto", ids[i], sendto(fresh, text, length, ids[i], (struct sockaddr *)&to, sizeof(to)));
		length = body(text, "sendto-nonblocking", ids[i]);
		say("sendto-nonblocking", ids[i], sendto(fresh_quick, text, length, ids[i], (struct sockaddr *)&to, sizeof(to)));
		if (six >= 0) {
			int fresh6 = socket(AF_INET6, SOCK_DGRAM, 0);

			length = body(text, "sendto-mapped", ids[i]);
			say("sendto-mapped", ids[i], sendto(fresh6, text, length, ids[i], (struct sockaddr *)&mapped, sizeof(mapped)));
			close(fresh6);
		}
		close(fresh);
		close(fresh_quick);
	}
	length = body(text, "sendmsg", 0);
	say("sendmsg", 0, sendmsg(plain, &(struct msghdr){ .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &(struct iovec){ text, length }, .msg_iovlen = 1 }, 0));
	length = body(text, "sendmmsg", 0);
	say("sendmmsg", 0, sendmmsg(plain, &(struct mmsghdr){ .msg_hdr = { .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &(struct iovec){ text, length }, .msg_iovlen = 1 } }, 1, 0));
	for (int round = 0; round < 2; round++) {
		/* Where nobody holds the address, the first one's echo (ICMP) makes the second fail: it must be read all the same. */
		usleep(20000);
		length = body(text, round ? "send-again" : "send", 0);
		say(round ? "send-again" : "send", 0, send(connected, text, length, 0));
		usleep(20000);
		length = body(text, round ? "write-again" : "write", 0);
		say(round ? "write-again" : "write", 0, write(connected, text, length));
		if (six < 0)
			continue;
		usleep(20000);
		length = body(text, round ? "write-mapped-again" : "write-mapped", 0);
		say(round ? "write-mapped-again" : "write-mapped", 0, write(connected6, text, length));
	}
	printf("{\"done\":true}\n");
	fflush(stdout);
	return read(0, line, sizeof(line)) < 0;
}
