"""One event loop that serves all its clients over few upstream connections, and says by helper datagrams whose work it is at.
NAMED: `before` names a request before it is read, as koala's nginx does; `late` once it is parsed, as Lua or PHP can; `pool` hands each
request's calls to threads that say for which thread they work."""
import collections
import os
import queue
import selectors
import socket
import threading

import helper

PORT = int(os.environ["NAMED_PORT"])
UPSTREAM = ("127.0.0.1", int(os.environ["NAMED_UPSTREAM_PORT"]))
HOW = os.environ["NAMED"]
loop = selectors.DefaultSelector()
FIRST_NAME = 1 << 32


class Request:
    def __init__(self, client, name, path, calls):
        self.client, self.name, self.path, self.calls = client, name, path, calls


class Upstream:
    """A kept connection; requests wait for a free one: whoever is free writes in somebody else's wake."""

    def __init__(self):
        self.socket = socket.create_connection(UPSTREAM)
        self.got = b""
        self.request = None
        loop.register(self.socket, selectors.EVENT_READ, self)

    def ask(self, request):
        helper.work_for(request.name)
        self.request = request
        rid = request.path.split("/")[2].split("?")[0]
        self.socket.sendall(f"GET /price/{rid}/{request.calls} HTTP/1.1\r\nHost: u\r\nX-Rid: {rid}\r\n\r\n".encode())

    def ready(self):
        helper.work_for(self.request.name)
        self.got += self.socket.recv(65536)
        head = self.got.find(b"\r\n\r\n")
        if head < 0 or len(self.got) < head + 4 + length_of(self.got[:head]):
            return
        self.got = b""
        request, self.request = self.request, None
        free.append(self)
        request.calls -= 1
        if request.calls:
            waiting.append(request)
        else:
            request.client.answer(request)
        while free and waiting:
            free.popleft().ask(waiting.popleft())


def length_of(head):
    return int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])


class Client:
    def __init__(self, connection):
        self.socket = connection
        self.name = FIRST_NAME + connection.fileno()
        loop.register(connection, selectors.EVENT_READ, self)

    def ready(self):
        if HOW == "before":
            helper.work_for(self.name)
        got = self.socket.recv(65536)
        if not got:
            loop.unregister(self.socket)
            self.socket.close()
            helper.shut_down(self.name)
            return
        if HOW == "late":
            helper.work_for(self.name)
        path = got.decode().split(" ")[1]
        request = Request(self, self.name, path, int(path.split("calls=")[1].split("&")[0]))
        if free:
            free.popleft().ask(request)
        else:
            waiting.append(request)

    def answer(self, request):
        helper.work_for(self.name)
        helper.tell(b"read-storage", request.path.encode())
        body = request.path.encode()
        self.socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def serve_by_pool(server):
    """A thread for each client; four workers make the calls, and say for whom."""
    work = queue.Queue()

    def worker():
        upstream = socket.create_connection(UPSTREAM)
        while True:
            asker, rid, n, done = work.get()
            helper.work_for(asker)
            upstream.sendall(f"GET /price/{rid}/{n} HTTP/1.1\r\nHost: u\r\nX-Rid: {rid}\r\n\r\n".encode())
            got = b""
            while b"\r\n\r\n" not in got or len(got) < got.find(b"\r\n\r\n") + 4 + length_of(got.split(b"\r\n\r\n")[0]):
                got += upstream.recv(65536)
            helper.work_for(0)
            done.release()

    def serve(client):
        while got := client.recv(65536):
            path = got.decode().split(" ")[1]
            rid, calls = path.split("/")[2].split("?")[0], int(path.split("calls=")[1].split("&")[0])
            done = threading.Semaphore(0)
            for n in range(calls):
                work.put((threading.get_native_id(), rid, n, done))
            for n in range(calls):
                done.acquire()
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(path) + path.encode())
        client.close()

    for _ in range(4):
        threading.Thread(target=worker, daemon=True).start()
    while True:
        threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()


server = socket.create_server(("127.0.0.1", PORT), backlog=64)
if HOW == "pool":
    serve_by_pool(server)
free = collections.deque(Upstream() for _ in range(4))
waiting = collections.deque()
loop.register(server, selectors.EVENT_READ, None)
while True:
    for key, _ in loop.select():
        if key.data is None:
            helper.work_for(0)
            Client(server.accept()[0])
        else:
            key.data.ready()
