"""Handlers that let others make their calls: threads of their own, `curl`, or a pool that all requests share (STARTED)."""
import concurrent.futures
import http.client
import os
import subprocess
import threading
import time

UPSTREAM = os.environ["STARTED_UPSTREAM"]
HOW = os.environ["STARTED"]
_pool = None
_lock = threading.Lock()


def fetch(rid, n):
    connection = http.client.HTTPConnection(UPSTREAM, timeout=20)
    connection.request("GET", f"/price/{rid}/{n}", headers={"X-Rid": rid})
    connection.getresponse().read()
    connection.close()


def run_curl(rid, n):
    subprocess.run(["curl", "-sf", "-o", "/dev/null", "-H", f"X-Rid: {rid}", f"http://{UPSTREAM}/price/{rid}/{n}"], check=True)


def nested(rid, n):
    """A thread that runs a program."""
    if n % 2:
        run_curl(rid, n)
    else:
        fetch(rid, n)
    fetch(rid, n)


def pool():
    """Made in the first request that needs it, as InheritableThreadLocal's users know it."""
    global _pool
    with _lock:
        if _pool is None:
            _pool = concurrent.futures.ThreadPoolExecutor(8)
        return _pool


def app(environ, start_response):
    if environ["PATH_INFO"] != "/healthz":
        rid = environ["PATH_INFO"].split("/")[2]
        calls = int(environ["QUERY_STRING"].split("calls=")[1].split("&")[0])
        if HOW == "curl":
            for n in range(calls):
                run_curl(rid, n)
        elif HOW == "pool":
            concurrent.futures.wait([pool().submit(fetch, rid, n) for n in range(calls)])
        else:
            threads = [threading.Thread(target=nested, args=(rid, n)) for n in range(calls)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        time.sleep(0.001)
    body = (environ["PATH_INFO"] + "\n").encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
