"""A thread for each client hands its calls to one ThreadPoolExecutor, and waits for them, in one of several ways. For bench/handed-over.ts."""
import concurrent.futures
import http.client
import os
import queue
import socket
import threading

UPSTREAM = f"127.0.0.1:{os.environ['HANDED_UPSTREAM_PORT']}"
# How a request's thread waits: get (each in order), wait (for all); and what else is waited for: shared, mixed, locked connections.
WAY = os.environ["HANDED_WAY"]
pool = concurrent.futures.ThreadPoolExecutor(int(os.environ["HANDED_POOL"]))
kept = queue.Queue()
lock = threading.Lock()
if WAY in ("shared", "mixed"):
    for _ in range(4):
        kept.put(http.client.HTTPConnection(UPSTREAM))
one = http.client.HTTPConnection(UPSTREAM)


def ask(connection, rid, n):
    connection.request("GET", f"/price/{rid}/{n}", headers={"X-Rid": rid})
    connection.getresponse().read()


def fetch(rid, n):
    if WAY == "locked":
        with lock:
            ask(one, rid, n)
    elif WAY in ("shared", "mixed"):
        connection = kept.get()
        ask(connection, rid, n)
        kept.put(connection)
    else:
        connection = http.client.HTTPConnection(UPSTREAM)
        ask(connection, rid, n)
        connection.close()


def serve(client):
    while got := client.recv(65536):
        path = got.decode().split(" ")[1]
        rid, calls = path.split("/")[2].split("?")[0], int(path.split("calls=")[1])
        first = 0
        # These make their first call themselves, over the connections that the pool's threads use.
        if WAY in ("mixed", "locked"):
            fetch(rid, first)
            first = 1
        handed = [pool.submit(fetch, rid, n) for n in range(first, calls)]
        if WAY == "wait":
            concurrent.futures.wait(handed)
        for each in handed:
            each.result()
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(path) + path.encode())


server = socket.create_server(("127.0.0.1", int(os.environ["HANDED_PORT"])), backlog=64)
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
