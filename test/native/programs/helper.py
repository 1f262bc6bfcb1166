"""koala's helper protocol, written from docs/helpers.md."""
import socket

_TO = ("127.127.127.127", 127)
_socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
_socket.setblocking(False)


def tell(command, body=b"", flags=0):
    """What the call returns says nothing: it is read before it fails."""
    try:
        _socket.sendto(b"to-koala!" + command + b"\n" + body, flags, _TO)
    except OSError:
        pass


def work_for(thread):
    """This thread works for that (virtual) thread; 0: for itself."""
    tell(b"set-delegated-from-thread-id", b"%d" % thread)


def shut_down(thread=0):
    tell(b"thread-shutdown", b"%d" % thread)
