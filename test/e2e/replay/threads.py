"""service.mjs as threads: each accepts, serves one request, and closes. Calls that are kept take a connection out of a pool of
a few, whichever is free, and wait for one. python3 threads.py PORT THREADS POOL"""
import base64
import json
import queue
import socket
import sys
import threading

port, threads, size = map(int, sys.argv[1:4])
pools = {}
lock = threading.Lock()


def pool_of(to):
    with lock:
        if to not in pools:
            pools[to] = queue.Queue()
            for _ in range(size):
                pools[to].put(None)
        return pools[to]


def dial(to):
    host, at = to.rsplit(':', 1)
    return socket.create_connection((host, int(at)), timeout=10)


def exchange(connection, step):
    connection.sendall(step['send'].encode('latin1'))
    heard = b''
    while len(heard) < step['read']:
        some = connection.recv(65536)
        if not some:
            break
        heard += some
    return heard.decode('latin1')


def call(step):
    if 'keep' not in step:
        with dial(step['to']) as connection:
            return exchange(connection, step)
    pool = pool_of(step['to'])
    connection = pool.get(timeout=10)
    try:
        connection = connection or dial(step['to'])
        return exchange(connection, step)
    finally:
        pool.put(connection)


def serve(connection):
    request = b''
    while b'\r\n\r\n' not in request:
        some = connection.recv(65536)
        if not some:
            return
        request += some
    plan = request.split()[1].decode().split('/')[2]
    steps = json.loads(base64.urlsafe_b64decode(plan + '=' * (-len(plan) % 4)))
    results = []
    for step in steps:
        try:
            results.append(call(step))
        except ConnectionRefusedError:
            results.append('ECONNREFUSED')
    body = json.dumps({'results': results}, separators=(',', ':'))
    head = f'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n'
    connection.sendall((head + body).encode('latin1'))


def work():
    while True:
        connection, _ = listener.accept()
        with connection:
            serve(connection)


listener = socket.create_server(('127.0.0.1', port), backlog=128)
for _ in range(threads):
    threading.Thread(target=work, daemon=True).start()
threading.Event().wait()
