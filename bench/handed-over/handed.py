"""A thread for each client hands its calls to one ThreadPoolExecutor, and waits for them. For bench/handed-over.ts."""
import concurrent.futures
import http.client
import os
import socket
import threading

UPSTREAM = f"127.0.0.1:{os.environ['HANDED_UPSTREAM_PORT']}"
pool = concurrent.futures.ThreadPoolExecutor(int(os.environ["HANDED_POOL"]))


def fetch(rid, n):
    connection = http.client.HTTPConnection(UPSTREAM)
    connection.request("GET", f"/price/{rid}/{n}", headers={"X-Rid": rid})
    connection.getresponse().read()
    connection.close()


def serve(client):
    while got := client.recv(65536):
        path = got.decode().split(" ")[1]
        rid, calls = path.split("/")[2].split("?")[0], int(path.split("calls=")[1])
        for one in [pool.submit(fetch, rid, n) for n in range(calls)]:
            one.result()
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(path) + path.encode())


server = socket.create_server(("127.0.0.1", int(os.environ["HANDED_PORT"])), backlog=64)
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
