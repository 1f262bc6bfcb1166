# SPDX-License-Identifier: MIT
"""Threads that wait for what others do: prints its process id, waits for a line on its input, then prints who did what, as JSON.

  result   a worker reads an answer, and wakes the thread that has waited since before
  late     a worker reads an answer, and wakes a thread that began to wait afterwards
  timer    a thread's patience ends before the worker that it waits for reads the answer
"""
import concurrent.futures
import ctypes
import json
import os
import socket
import sys
import threading
import time

PAUSE = 0.2


def listener():
    return socket.create_server(('127.0.0.1', 0))


def answer_late(server):
    """Who is called. In a process of its own, as dependencies are."""
    while True:
        connection, _ = server.accept()
        connection.recv(100)
        time.sleep(PAUSE)
        connection.sendall(b'answer')


def call(port):
    with socket.create_connection(('127.0.0.1', port)) as connection:
        connection.sendall(b'call')
        connection.recv(100)


dependency, service = listener(), listener()
child = os.fork()
if child == 0:
    ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG
    answer_late(dependency)
port = dependency.getsockname()[1]
print(json.dumps({'pid': os.getpid()}), flush=True)
sys.stdin.readline()
told = {}


def until_waits(tid):
    """Until the thread has not run for a while, however busy the machine is, or has ended."""
    last = None
    while True:
        try:
            with open(f'/proc/self/task/{tid}/status') as status:
                facts = dict(line.split(':', 1) for line in status)
        except OSError:
            return
        now = facts['State'].split()[0], facts['voluntary_ctxt_switches']
        if now == last and now[0] == 'S':
            return
        last = now
        time.sleep(PAUSE / 8)


def case(name, worker, patience=None, begins=lambda: True):
    """A thread reads a request, hands a future to a worker, and waits for it once it `begins`: asked again and again, woken by nobody."""
    future, started = concurrent.futures.Future(), threading.Event()
    tids = told[name] = {}

    def serve():
        tids['waiter'] = threading.get_native_id()
        connection = service.accept()[0]
        connection.recv(100)
        started.set()
        while not begins():
            time.sleep(PAUSE / 8)
        try:
            future.result(patience)
        except concurrent.futures.TimeoutError:
            pass

    def work():
        tids['worker'] = threading.get_native_id()
        started.wait()
        worker(future, tids['waiter'])

    threads = [threading.Thread(target=each) for each in (serve, work)]
    for thread in threads:
        thread.start()
    with socket.create_connection(service.getsockname()) as client:
        client.sendall(b'request')
        for thread in threads:
            thread.join()


def at_once(future, waiter):
    until_waits(waiter)
    call(port)
    future.set_result(1)


answered = []


def later(future, waiter):
    call(port)
    answered.append(True)
    time.sleep(PAUSE)
    until_waits(waiter)
    future.set_result(1)


case('result', at_once)
case('late', later, begins=lambda: answered)
case('timer', at_once, patience=PAUSE / 4)
os.kill(child, 9)
print(json.dumps(told), flush=True)
sys.stdin.readline()
