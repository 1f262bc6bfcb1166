"""The shop on Python: a pool of PostgreSQL connections (database.py), redis-py, requests. Under gunicorn's threads."""
import hashlib
import hmac
import os
import threading

import flask
import redis
import requests
import requests.adapters

import database

app = flask.Flask(__name__)
CHANGES = [None, "rename", "add", "drop", "parameter", "reorder", "twice", "status", None, None]
UPSTREAM = f"http://127.0.0.1:{os.environ['SHOP_UPSTREAM_PORT']}"

cache = redis.Redis(host="127.0.0.1", port=int(os.environ["SHOP_REDIS_PORT"]), client_name="shop", decode_responses=True)
local = threading.local()


sql = database.pool(os.environ["SHOP_DRIVER"], os.environ["SHOP_PG"])
with sql.connection() as first:
    first.execute("select 1 as ready")
cache.ping()


def http():
    if not hasattr(local, "http"):
        local.http = requests.Session()
    return local.http


def change_of(n):
    return CHANGES[n % 10] if os.environ.get("SHOP_CHANGE") == "yes" else None


def sign(person):
    return f"{person}.{hmac.new(b'key of the shop', str(person).encode(), hashlib.sha256).hexdigest()}"


@app.post("/login")
def login():
    asked = flask.request.get_json(force=True)
    with sql.connection() as connection:
        user = connection.execute("select id, secret, since from users where name = %s", (asked["name"],)).fetchone()
    if user is None or user["secret"] != asked["secret"]:
        return {"error": "who?"}, 401
    cache.set(f"seen:{user['id']}", asked["name"])
    return {"token": sign(user["id"]), "since": str(user["since"])}


def who_is(connection):
    token = flask.request.headers.get("Authorization", "").removeprefix("Bearer ")
    person = token.split(".")[0]
    if not hmac.compare_digest(sign(person), token):
        flask.abort(401)
    return connection.execute("select id, name, credit::text as credit, rate from users where id = %s", (int(person),)).fetchone()


@app.get("/orders/<int:n>")
def order(n):
    change = change_of(n)
    rid = flask.request.headers["X-Rid"]
    with sql.connection() as connection:
        user = who_is(connection)
        item = lambda: connection.execute("select id, name, price, weight from items where id = %s", (n % 50,)).fetchone()
        cart = lambda: (cache.get(f"cart:{n}"), cache.incr("asked"))
        if change == "reorder":
            (kept, asked), one = cart(), item()
        else:
            one, (kept, asked) = item(), cart()
        if change == "add":
            try:
                connection.execute("select count(*) as dearer from items where price > %s", (one["price"],))
            except Exception:
                app.logger.warning("no dearer ones")
        left = None if change == "drop" else connection.execute(
            "select id, name from items where price > %s and weight < %s order by id limit 3", (100 + (n + (change == "parameter")) % 50, 50.5)).fetchall()
    price = lambda: http().get(f"{UPSTREAM}/price/{n}", params={"pad": 10}, headers={"X-Rid": rid}, timeout=20)
    value = price().json()["price"]
    if change == "twice":
        price()
    http().post(f"{UPSTREAM}/audit", json={"n": n, "user": user["name"]}, headers={"X-Rid": rid}, timeout=20)
    body = {"n": n, "user": user, "what" if change == "rename" else "item": one, "kept": kept, "asked": asked, "left": left, "value": value}
    return body, 203 if change == "status" else 200


@app.post("/orders")
def place():
    asked = flask.request.get_json(force=True)
    with sql.connection() as connection:
        user = who_is(connection)
        with connection.transaction():
            row = connection.execute("insert into placed (person, item, quantity) values (%s, %s, %s) returning id", (user["id"], asked["item"], asked["quantity"])).fetchone()
    with cache.pipeline() as pipeline:
        queued = pipeline.lpush("placed", row["id"]).llen("placed").execute()
    return {"id": row["id"], "queued": queued}, 201
