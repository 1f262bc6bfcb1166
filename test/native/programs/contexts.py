"""Requests that are at work at a time in one event loop, asyncio's own or what LOOP=uvloop names: contexts.py ROLE…

  upstream        answers each request alike, by TCP and by a unix socket; prints its port, after which the latter is named
  front UPSTREAM  serves requests, each by five calls through a pool of four connections, two of them unix ones, or, where SHARED
                  is set, over one that all write to, at times in one turn; prints its port; when its standard input ends, it
                  prints for each call "NUMBER NAME", which call was of which request, and ends
  clients FRONT   sends 64 requests, or as many as REQUESTS says, 16 at a time or as many as AT_A_TIME says, as many on each connection

Nothing in a call says whose it is, nor in an answer: numbers of calls are handed out by a counter.
"""
import asyncio
import collections
import itertools
import os
import socket
import sys
import urllib.request

POOL = 4
REQUESTS = int(os.environ.get("REQUESTS", "64"))
AT_A_TIME = int(os.environ.get("AT_A_TIME", "16"))
SHARED = "SHARED" in os.environ

numbers = itertools.count(1000)
whose = {}


async def head(reader):
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    length = next((int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length:")), 0)
    await reader.readexactly(length)
    return lines[0]


def answer(writer, body):
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())


async def listen(serve, unix=False):
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    if unix:
        await asyncio.start_unix_server(serve, sock=unix_socket(port, socket.socket.bind))
    print(port, flush=True)
    return server


def unix_socket(port, use):
    end = socket.socket(socket.AF_UNIX)
    use(end, f"\0koala-contexts-{port}")
    return end


async def upstream():
    async def serve(reader, writer):
        try:
            while await head(reader):
                await asyncio.sleep(0.004)
                answer(writer, "same")
        except asyncio.IncompleteReadError:
            writer.close()

    async with await listen(serve, unix=True) as server:
        await server.serve_forever()


async def front(port):
    pool = asyncio.Queue()
    answered = collections.deque()
    gathered = []

    def number_for(name):
        number = next(numbers)
        whose[number] = name
        return number

    async def call(name):
        reader, writer = await pool.get()
        writer.write(f"GET /{number_for(name)} HTTP/1.1\r\nHost: upstream\r\n\r\n".encode())
        await head(reader)
        pool.put_nowait((reader, writer))

    async def together():
        gathered.append(asyncio.get_running_loop().create_future())
        here = gathered[-1]
        if len(gathered) == AT_A_TIME:
            for one in gathered:
                one.set_result(None)
            gathered.clear()
        await here

    async def shared(name):
        done = asyncio.get_running_loop().create_future()
        answered.append(done)
        lines = f"GET /{number_for(name)} HTTP/1.1\r\nHost: upstream\r\n\r\n".encode()
        shared_writer.writelines([lines[:10], lines[10:]])
        await done

    async def read_shared(reader):
        while await head(reader):
            answered.popleft().set_result(None)

    def blocking(name):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/{number_for(name)}").read()

    async def serve(reader, writer):
        try:
            while True:
                name = (await head(reader)).split()[1][1:]
                if SHARED:
                    for calls in range(5):
                        if calls % 2 == 0:
                            await asyncio.sleep(0.0005 * int(name.split("-")[1]))
                        else:
                            await together()
                        await shared(name)
                    answer(writer, "done")
                    continue
                await call(name)
                await asyncio.gather(call(name), asyncio.wait_for(call(name), 10))
                await asyncio.to_thread(blocking, name)
                await asyncio.sleep(0.002)
                await call(name)
                answer(writer, "done")
        except asyncio.IncompleteReadError:
            writer.close()

    if SHARED:
        shared_reader, shared_writer = await asyncio.open_connection("127.0.0.1", port)
        reading = asyncio.create_task(read_shared(shared_reader))
    for _ in range(POOL // 2):
        pool.put_nowait(await asyncio.open_connection("127.0.0.1", port))
        pool.put_nowait(await asyncio.open_unix_connection(sock=unix_socket(port, socket.socket.connect)))
    server = await listen(serve)
    await asyncio.to_thread(sys.stdin.read)
    server.close()
    for number, name in whose.items():
        print(number, name)


async def clients(port):
    async def client(first):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for name in range(first, first + REQUESTS // AT_A_TIME):
            writer.write(f"GET /request-{name} HTTP/1.1\r\nHost: front\r\n\r\n".encode())
            await head(reader)
        writer.close()

    await asyncio.gather(*[client(first) for first in range(0, REQUESTS, REQUESTS // AT_A_TIME)])


role, *ports = sys.argv[1:]
if os.environ.get("LOOP") == "uvloop":
    import uvloop

    uvloop.install()
asyncio.run({"upstream": upstream, "front": front, "clients": clients}[role](*map(int, ports)))
