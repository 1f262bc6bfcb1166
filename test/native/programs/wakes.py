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


def case(name, worker, patience=None, before=0.0):
    """A thread reads a request, hands a future to a worker, and waits for it after `before` seconds."""
    future, started = concurrent.futures.Future(), threading.Event()
    tids = told[name] = {}

    def serve():
        tids['waiter'] = threading.get_native_id()
        connection = service.accept()[0]
        connection.recv(100)
        started.set()
        time.sleep(before)
        try:
            future.result(patience)
        except concurrent.futures.TimeoutError:
            pass

    def work():
        tids['worker'] = threading.get_native_id()
        started.wait()
        worker(future)

    threads = [threading.Thread(target=each) for each in (serve, work)]
    for thread in threads:
        thread.start()
    with socket.create_connection(service.getsockname()) as client:
        client.sendall(b'request')
        for thread in threads:
            thread.join()


def at_once(future):
    call(port)
    future.set_result(1)


def later(future):
    call(port)
    time.sleep(3 * PAUSE)
    future.set_result(1)


case('result', at_once)
case('late', later, before=2 * PAUSE)
case('timer', at_once, patience=PAUSE / 4)
os.kill(child, 9)
print(json.dumps(told), flush=True)
sys.stdin.readline()
