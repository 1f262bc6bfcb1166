/*
 * Both ends of a loopback connection in one thread, which answers itself as nginx would: `calls 0` by writev of a header and a body
 * of two bytes, `calls 1` by send of a header and sendfile of 1,400 bytes. Says "ready", waits for a line, runs for the given
 * seconds, then prints the thread's own processor time an answer in ns: the least of many runs of 1,000, and the median.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define RUNS 100000
#define ANSWERS 1000

static double all[RUNS];

static double spent(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * 1e9 + now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	double difference = *(const double *)a - *(const double *)b;

	return difference < 0 ? -1 : difference > 0;
}

int main(int count, char **arguments)
{
	int file_mode = count > 1 && atoi(arguments[1]) == 1, seconds = count > 2 ? atoi(arguments[2]) : 2;
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0), out = socket(AF_INET, SOCK_STREAM, 0), in, one = 1, runs = 0;
	static char header[150], body[1400], into[8192];
	FILE *file = tmpfile();
	time_t end;

	if (!file || fwrite(body, sizeof(body), 1, file) != 1 || fflush(file) || bind(listener, (void *)&address, length) ||
	    listen(listener, 1) || getsockname(listener, (void *)&address, &length) || connect(out, (void *)&address, length))
		return 1;
	in = accept(listener, 0, 0);
	setsockopt(out, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	puts("ready");
	fflush(stdout);
	getchar();
	for (end = time(0) + seconds; time(0) < end && runs < RUNS;) {
		double before = spent();

		for (int i = 0; i < ANSWERS; i++) {
			long left = sizeof(header) + (file_mode ? sizeof(body) : 2);
			struct iovec both[2] = { { header, sizeof(header) }, { body, 2 } };
			off_t from = 0;

			if (file_mode ? send(out, header, sizeof(header), 0) < 0 || sendfile(out, fileno(file), &from, sizeof(body)) < 0 :
					writev(out, both, 2) < 0)
				return 1;
			while (left > 0)
				left -= recv(in, into, sizeof(into), 0);
		}
		all[runs++] = (spent() - before) / ANSWERS;
	}
	qsort(all, runs, sizeof(all[0]), compare);
	printf("%.0f %.0f\n", all[0], all[runs / 2]);
	return 0;
}
