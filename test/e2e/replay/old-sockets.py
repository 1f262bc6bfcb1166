"""A service whose sockets are older than any replay: one that is not connected yet, one of datagrams that is, and one
v4-mapped connection that is open. GET / asks the database by each. python3 old-sockets.py PORT DATABASE_PORT"""
import socket
import sys

port, database = int(sys.argv[1]), int(sys.argv[2])
unconnected = socket.socket()
unconnected.settimeout(5)
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.connect(("127.0.0.1", database))
mapped = socket.socket(socket.AF_INET6)
mapped.connect(("::ffff:127.0.0.1", database))
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", port))
listener.listen()
print("up", flush=True)


def attempt(what):
    try:
        return what()
    except OSError as error:
        return type(error).__name__


def ask_unconnected():
    unconnected.connect(("127.0.0.1", database))
    unconnected.sendall(b"unconnected\n")
    return unconnected.recv(100).decode().strip()


def ask_datagrams():
    # The refusal is heard of by the next one.
    datagrams.send(b"datagram")
    datagrams.settimeout(1)
    return datagrams.recv(100).decode()


def ask_mapped():
    mapped.sendall(b"mapped\n")
    return mapped.recv(100).decode().strip()


while True:
    client, _ = listener.accept()
    client.recv(65536)
    body = "|".join(attempt(what) for what in (ask_unconnected, ask_datagrams, ask_mapped))
    client.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
    client.close()
