#!/usr/bin/env python3
"""Whether two runs of a uprobe's program can share their variables, and whether a tail call in it prevents that (bpf/goroutine.h).

Eight threads call a function that is probed, two more of a real-time class preempt them to do the same. Needs root, clang, gcc and two
processors. `scripts/vm run 7.2 -- bench/uprobe-stacks.py`; it says so of each program, a line each."""
import ctypes, os, platform, subprocess, tempfile

SECONDS = '15'
CALLER = r'''
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static volatile int stop;

__attribute__((noinline)) void probed(long n) { asm volatile("" ::"r"(n) : "memory"); }

static void *busy(void *number)
{
	for (long n = (long)number << 32; !stop; n++)
		probed(n);
	return 0;
}

static void *preempting(void *number)
{
	struct sched_param urgent = { .sched_priority = 5 };
	struct timespec pause = { 0, 500000 };
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((long)number, &one);
	if (sched_setaffinity(0, sizeof(one), &one) || sched_setscheduler(0, SCHED_FIFO, &urgent))
		perror("preempting");
	for (long n = ((long)number + 100) << 32; !stop; n++) {
		nanosleep(&pause, 0);
		probed(n);
	}
	return 0;
}

int main(int argc, char **argv)
{
	pthread_t thread[10];

	getchar();
	for (long i = 0; i < 10; i++)
		pthread_create(&thread[i], 0, i < 8 ? busy : preempting, (void *)(i < 8 ? i + 1 : i - 8));
	sleep(atoi(argv[1]));
	stop = 1;
	for (int i = 0; i < 10; i++)
		pthread_join(thread[i], 0);
	return 0;
}
'''

here = os.path.dirname(os.path.realpath(__file__))
bpf = ctypes.CDLL('libbpf.so.1', use_errno=True)
pointer = ctypes.c_void_p
for name in ('bpf_object__open_file', 'bpf_object__find_program_by_name', 'bpf_program__attach_uprobe'):
    getattr(bpf, name).restype = pointer
bpf.bpf_program__attach_uprobe.argtypes = [pointer, ctypes.c_bool, ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t]


def counted(fd, what):
    key, value = ctypes.c_uint32(what), ctypes.c_uint64(0)
    bpf.bpf_map_lookup_elem(fd, ctypes.byref(key), ctypes.byref(value))
    return value.value


with tempfile.TemporaryDirectory() as work:
    caller, programs = os.path.join(work, 'caller'), os.path.join(work, 'programs.o')
    # Position-independent: its symbols' addresses are places in the file.
    subprocess.run(['gcc', '-O2', '-fPIE', '-pie', '-pthread', '-x', 'c', '-', '-o', caller], input=CALLER.encode(), check=True)
    subprocess.run(['clang', '-O2', '-g', '-target', 'bpf', '-D__x86_64__', f'-I/usr/include/{platform.machine()}-linux-gnu', '-c', os.path.join(here, 'uprobe-stacks.bpf.c'), '-o', programs], check=True)
    symbols = subprocess.run(['nm', caller], capture_output=True, text=True, check=True).stdout.splitlines()
    offset = int(next(line.split()[0] for line in symbols if line.endswith(' probed')), 16)
    for name in ('without', 'with'):
        obj = bpf.bpf_object__open_file(programs.encode(), None)
        if not obj or bpf.bpf_object__load(pointer(obj)) != 0:
            raise SystemExit('this kernel does not load it')
        link = bpf.bpf_program__attach_uprobe(bpf.bpf_object__find_program_by_name(pointer(obj), name.encode()), False, -1, caller.encode(), offset)
        if not link:
            raise SystemExit(f'it can not be attached: errno {ctypes.get_errno()}')
        subprocess.run([caller, SECONDS], input=b'\n', check=True)
        runs, overwritten, interleaved = (counted(bpf.bpf_object__find_map_fd_by_name(pointer(obj), b'counts'), what) for what in range(3))
        print(f'{name} a tail call: {runs} runs, {interleaved} interleaved by another, {overwritten} went on with the variables of another', flush=True)
        bpf.bpf_link__destroy(pointer(link))
