"""An HTTP service that tells koala what it does, in Python and by the C program that HELPED_C names, answers with what each of its
calls returned, and has its upstream (HELPED_UPSTREAM_PORT) asked by threads that say for which request they work."""
import errno
import http.server
import json
import os
import queue
import socket
import struct
import subprocess
import threading

import helper

PORT = int(os.environ["HELPED_PORT"])
UPSTREAM = ("127.0.0.1", int(os.environ["HELPED_UPSTREAM_PORT"]))
TO = ("127.127.127.127", 127)
ANSWER_FLAGS = 127127
work = queue.Queue()


def told(call, *words):
    try:
        return call(*words)
    except OSError as error:
        return errno.errorcode[error.errno]


def python():
    plain, connected = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    said = {}
    with plain, connected:
        for one in (plain, connected):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 20_000))
        said["read-storage"] = told(plain.sendto, b"to-koala!read-storage\nuser:7=koala", TO)
        said["set-trace-header-key"] = told(plain.sendto, b"to-koala!set-trace-header-key\nti\nabc", TO)
        for question in (b"get-trace-header-key", b"get-trace-header"):
            said[question.decode()] = [told(plain.sendto, b"to-koala!" + question + b"\nti", TO), told(plain.recv, 65536, ANSWER_FLAGS), waits(plain)]
        said["with odd flags"] = told(plain.sendto, b"to-koala!read-storage\nuser:8=bear", 0x10001, TO)
        said["connected"] = [told(connected.connect, TO)] + [told(connected.send, b"to-koala!get-trace-header\nti") for _ in range(3)]
    return said


def waits(one):
    """What who waits for an answer gets."""
    got = told(one.recv, 65536)
    return "no answer" if got == "EAGAIN" else str(got)


def c():
    return subprocess.run([os.environ["HELPED_C"]], input=b"go\nx", stdout=subprocess.PIPE, check=True).stdout.decode()


def ask(upstream, path):
    upstream.sendall(f"GET {path} HTTP/1.1\r\nHost: u\r\n\r\n".encode())
    got = b""
    while b"\r\n\r\n" not in got or len(got) < got.find(b"\r\n\r\n") + 4 + int(got.lower().split(b"content-length:")[1].split(b"\r\n")[0]):
        more = upstream.recv(65536)
        if not more:
            raise ConnectionError
        got += more
    return got.split(b"\r\n\r\n")[1].decode()


def caller():
    upstream = None
    while True:
        asker, path, done, answers = work.get()
        helper.work_for(asker)
        try:
            upstream = upstream or socket.create_connection(UPSTREAM)
            answers.append(ask(upstream, path))
        except OSError:
            upstream = socket.create_connection(UPSTREAM)
            answers.append(ask(upstream, path))
        helper.work_for(0)
        done.release()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        answers, done = [], threading.Semaphore(0)
        for n in range(2):
            work.put((threading.get_native_id(), "/the-same", done, answers))
        for n in range(2):
            done.acquire()
        body = json.dumps({"said": c() if self.path.startswith("/c") else python(), "answers": sorted(answers)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


for _ in range(4):
    threading.Thread(target=caller, daemon=True).start()
http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
