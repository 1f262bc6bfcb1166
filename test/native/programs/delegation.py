"""Teams of four threads that speak koala's helper protocol: the first of each reads requests (GET /WHAT/ID), the others make its calls and say
for whom. `delegation.py UPSTREAM_PORT`; prints {"port"}. delegation.c is the same in C."""
import queue
import socket
import sys
import threading

import helper

TEAMS = 4
MEMBERS = 4
FLOOD = 20_000
FIRST_NAME = 1 << 32  # no thread's id
NOBODY = 4_100_000  # a name that nobody has
ANSWER_FLAGS = 127127
UPSTREAM = ("127.0.0.1", int(sys.argv[1]))

listener = socket.create_server(("127.0.0.1", 0), backlog=64)


class Team:
    def __init__(self, number):
        self.name = FIRST_NAME + number
        self.tids = [0] * MEMBERS
        self.work = [queue.Queue() for _ in range(MEMBERS)]
        self.done = queue.Queue()
        for member in range(1, MEMBERS):
            threading.Thread(target=self.be, args=(member,), daemon=True).start()
            self.done.get()
        threading.Thread(target=self.first).start()

    def be(self, member):
        self.tids[member] = threading.get_native_id()
        while True:
            self.done.put(None)
            self.work[member].get()(member)

    def have(self, member, work):
        self.work[member].put(work)
        self.done.get()

    def call(self, member):
        """A request and its answer, to the end of the connection."""
        with socket.create_connection(UPSTREAM) as upstream:
            what = "member" if member else "first"
            upstream.sendall(f"GET /{what} HTTP/1.1\r\nHost: u\r\nX-Rid: {self.id}\r\nConnection: close\r\n\r\n".encode())
            while upstream.recv(1024):
                pass

    def delegate(self, member):
        """For the one before, and that for the one before it: a chain."""
        if member % 2:
            helper.tell(b"set-delegated-from-thread-id", flags=self.tids[member - 1])
        else:
            helper.work_for(self.tids[member - 1])

    def flood(self, member):
        for _ in range(FLOOD):
            helper.work_for(self.tids[member - 1])

    def first(self):
        self.tids[0] = threading.get_native_id()
        while True:
            with listener.accept()[0] as client:
                words = client.recv(4096).decode().split(" ")
                if len(words) < 2:
                    continue
                _, self.what, self.id = words[1].split("/")
                self.serve()
                client.sendall(f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(self.id)}\r\n\r\n{self.id}".encode())

    def serve(self):
        if self.what == "words":
            words()
        if self.what == "garbage":
            garbage()
        if self.what == "unknown":
            helper.shut_down(NOBODY)
        if self.what == "exclude":
            helper.tell(b"exclude")
        if self.what == "name":
            helper.work_for(self.name)
            self.have(3, lambda _: helper.work_for(self.name))
        elif self.what in ("chain", "cycle", "flood"):
            for member in range(1, MEMBERS):
                self.have(member, self.delegate)
            if self.what == "cycle":
                helper.work_for(self.tids[3])
                helper.tell(b"set-delegated-from-thread-id", flags=self.tids[1])
            if self.what == "flood":
                self.have(3, self.flood)
        else:
            self.call(0)
            helper.tell(b"include")
            return
        self.have(3, self.call)
        for member in range(1, MEMBERS):
            self.have(member, lambda _: helper.work_for(0))
        if self.what == "name":
            helper.shut_down(self.name)


def garbage():
    for text in (b"\x00\xff\x80 is no command", b"", b"to-koala!thread-shutdown", b"\xff" * 65507):
        helper.send(text)
    helper.tell(b"dance")
    helper.tell(b"set-delegated-from-thread-id", b"nine")
    helper.tell(b"set-trace-header-key", b"no value")


def words():
    helper.tell(b"read-storage", b"user:7=koala\0bear")
    helper.tell(b"call-function", b'{"ActionId":1,"CallIntoFile":"shop.c","CallIntoLine":7,"FuncName":"price","Args":[]}')
    helper.tell(b"return-function", b'{"CallFunctionId":1,"ReturnValue":9}')
    helper.tell(b"set-trace-header-key", b"ti\nabc")
    for question in (b"get-trace-header-key", b"get-trace-header"):
        helper.tell(question, b"ti" if question.endswith(b"key") else b"")
        assert helper.answer(ANSWER_FLAGS) is None
    command = b"to-koala!read-storage\n"
    helper.send(command + b"k" * (65507 - len(command)))  # a datagram of 64 KiB


teams = [Team(number) for number in range(TEAMS)]
print('{"port":%d}' % listener.getsockname()[1], flush=True)
