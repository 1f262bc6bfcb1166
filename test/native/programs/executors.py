"""Requests whose calls are made by thread pools that are smaller than the number of requests at a time: executors.py HOW UPSTREAM

  threads   a thread for each connection, whose handlers submit to a ThreadPoolExecutor
  asyncio   an event loop, whose handlers use run_in_executor

Each request is served by five calls, through connections that are lent by one thread to another. Prints its port; when its standard input ends, it prints for each call "NUMBER NAME", which call was of
which request, and ends. Upstream and clients are those of contexts.py. Nothing in a call says whose it is, nor in an answer.
"""
import asyncio
import concurrent.futures
import contextvars
import http.client
import http.server
import itertools
import os
import queue
import sys
import threading

how, port = sys.argv[1], int(sys.argv[2])
numbers = itertools.count(1000)
whose = {}
pool = concurrent.futures.ThreadPoolExecutor(4)
second = concurrent.futures.ThreadPoolExecutor(3)
lent = queue.SimpleQueue()
seen = contextvars.ContextVar("seen")
for _ in range(5):
    lent.put(http.client.HTTPConnection("127.0.0.1", port))


def call(name):
    number = next(numbers)
    whose[number] = name
    # From here on the thread has a context of its own, in which it runs nothing.
    seen.set(number)
    connection = lent.get()
    connection.request("GET", f"/{number}")
    connection.getresponse().read()
    lent.put(connection)


def through_another(name):
    second.submit(call, name).result()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        name = self.path[1:]
        pool.submit(call, name).result()
        concurrent.futures.wait([pool.submit(call, name), pool.submit(through_another, name)])
        pool.submit(contextvars.copy_context().run, call, name).result()
        list(pool.map(call, [name]))
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")

    def log_message(self, *args):
        pass


def threads():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


async def loop():
    async def serve(reader, writer):
        run = asyncio.get_running_loop().run_in_executor
        try:
            while True:
                name = (await reader.readuntil(b"\r\n\r\n")).decode().split()[1][1:]
                await run(pool, call, name)
                await asyncio.gather(run(pool, call, name), run(pool, through_another, name))
                await asyncio.wait_for(run(None, call, name), 10)
                await asyncio.sleep(0.002)
                await run(pool, call, name)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
        except asyncio.IncompleteReadError:
            writer.close()

    asyncio.get_running_loop().set_default_executor(concurrent.futures.ThreadPoolExecutor(3))
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if how == "asyncio":
    asyncio.run(loop())
else:
    threads()
for number, name in whose.items():
    print(number, name)
sys.stdout.flush()
os._exit(0)
