"""The service under test: Flask under gunicorn, with the pools that people really use. Every call it makes carries the
request's id (`rid-…`): in a header and the path, in a Redis key, in an SQL comment or literal."""
import os
import threading

import flask
import psycopg2
import psycopg2.pool
import redis
import requests
import requests.adapters

app = flask.Flask(__name__)
UPSTREAM = os.environ["SHOP_UPSTREAM"]
TLS_UPSTREAM = os.environ.get("SHOP_TLS_UPSTREAM")
_pools = None
_lock = threading.Lock()


class Pools:
    """Made at the first request, after the fork: one each for the whole worker."""

    def __init__(self):
        threads = int(os.environ["SHOP_THREADS"])
        self.http = requests.Session()
        self.http.mount("http://", requests.adapters.HTTPAdapter(pool_connections=4, pool_maxsize=threads))
        self.redis = redis.Redis(port=int(os.environ["SHOP_REDIS_PORT"]))
        self.sql = psycopg2.pool.ThreadedConnectionPool(threads, threads, os.environ["SHOP_PG"])
        self.sql_slots = threading.BoundedSemaphore(threads)


def pools():
    global _pools
    with _lock:
        if _pools is None:
            _pools = Pools()
        return _pools


@app.get("/healthz")
def healthz():
    return "ok"


@app.get("/work/<rid>")
def work(rid):
    """`calls`: how many HTTP calls; `pad`: their size; `after`: a call once the answer is out."""
    calls = int(flask.request.args.get("calls", 1))
    pad = flask.request.args.get("pad", "0")
    p = pools()
    seen = p.redis.get(f"seen:{rid}")
    prices = [
        p.http.get(f"{UPSTREAM}/price/{rid}/{n}", params={"pad": pad}, headers={"X-Rid": rid}, timeout=20).json()
        for n in range(calls)
    ]
    with p.sql_slots:
        connection = p.sql.getconn()
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("select pg_sleep(0.002), %s as rid", (rid,))
            echoed = cursor.fetchone()[1]
            cursor.execute(f"begin /* {rid} */")
            cursor.execute("insert into orders (rid, price) values (%s, %s) returning id", (rid, prices[0]["price"]))
            order = cursor.fetchone()[0]
            cursor.execute(f"commit /* {rid} */")
        p.sql.putconn(connection)
    p.redis.set(f"seen:{rid}", order)
    response = flask.jsonify(rid=rid, echoed=echoed, seen=seen, order=order, prices=prices)
    if "after" in flask.request.args:
        response.call_on_close(lambda: p.redis.lpush("audit", f"answered {rid}"))
    return response


@app.get("/secret/<rid>")
def secret(rid):
    """One call by TLS: nobody outside can read it."""
    answer = pools().http.get(f"{TLS_UPSTREAM}/secret/{rid}", headers={"X-Rid": rid}, timeout=20, verify=False)
    return flask.jsonify(rid=rid, price=answer.json()["price"])
