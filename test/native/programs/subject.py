# SPDX-License-Identifier: MIT
"""A process that does what a test tells it, a line of Python at a time, and answers each with a line of JSON.

The variable `answer` is what a line answers. Each process of the same program (a fork, another start) is told by
`serve()`: it reads lines from its own pipe, so that a test holds every process of a family by itself.
"""
import ctypes
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

state = {}


def say(port, word, host='127.0.0.1'):
    """A connection of its own that says one word and ends; answers the local port."""
    with socket.create_connection((host, port)) as connection:
        connection.sendall(word.encode())
        return connection.getsockname()[1]


def listener(port=0, host='127.0.0.1'):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, port))
    sock.listen(16)
    return sock


def fork(folder, name):
    """A child that serves on the fifos NAME.in and NAME.out of `folder`; answers its pid."""
    pid = os.fork()
    if pid:
        return pid
    try:
        serve(open(f'{folder}/{name}.in', encoding='utf8'), open(f'{folder}/{name}.out', 'w', encoding='utf8'))
    finally:
        os._exit(0)


def serve(lines, out):
    for line in lines:
        state.pop('answer', None)
        scope = globals()
        scope['answer'] = None
        try:
            exec(json.loads(line), scope)
            told = {'answer': scope['answer']}
        except Exception as error:  # the test decides what it means
            told = {'error': f'{type(error).__name__}: {error}', 'errno': getattr(error, 'errno', None)}
        out.write(json.dumps(told) + '\n')
        out.flush()


if __name__ == '__main__':
    words = dict(zip(sys.argv[1::2], sys.argv[2::2]))
    if '--say' in words:  # PORT:WORD, at once
        port, word = words['--say'].split(':')
        say(int(port), word)
    if words.get('--serve') == 'fifo':
        serve(open(words['--in'], encoding='utf8'), open(words['--out'], 'w', encoding='utf8'))
    elif '--exit' in words:
        sys.exit(int(words['--exit']))
    else:
        serve(sys.stdin, sys.stdout)
