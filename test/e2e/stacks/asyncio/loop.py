"""The service under test: aiohttp, asyncpg's pool, one redis.asyncio pool, calls made together with gather. All pools are smaller
than the number of clients, so that requests queue for connections. Every call carries the request's id."""
import asyncio
import json
import os

import aiohttp
import asyncpg
import redis.asyncio
from aiohttp import web

UPSTREAM = f"http://127.0.0.1:{os.environ['SHOP_UPSTREAM_PORT']}"


async def work(request):
    app = request.app
    rid = request.match_info['rid']
    calls = int(request.query.get('calls', '1'))
    pad = request.query.get('pad', '0')

    async def price(n):
        async with app['http'].get(f'{UPSTREAM}/price/{rid}/{n}?pad={pad}', headers={'x-rid': rid}) as answer:
            return await answer.json()

    async def order():
        return await app['pg'].fetchval('insert into orders (rid, price) values ($1, $2) returning id', rid, 1)

    prices, number, seen = await asyncio.gather(
        asyncio.gather(*(price(n) for n in range(calls))), order(), app['redis'].get(f'seen:{rid}'))
    row = await app['pg'].fetchrow('select id, rid, price from orders where id = $1 and rid = $2', number, rid)
    await app['redis'].set(f'seen:{rid}', str(prices[0]['price']))
    return web.Response(text=json.dumps({'rid': rid, 'order': row['id'], 'seen': seen is not None, 'prices': prices}), content_type='application/json')


async def start(app):
    app['http'] = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=8))
    app['pg'] = await asyncpg.create_pool(os.environ['SHOP_PG'], min_size=4, max_size=6)
    app['redis'] = redis.asyncio.Redis(connection_pool=redis.asyncio.BlockingConnectionPool(host='127.0.0.1', port=int(os.environ['SHOP_REDIS_PORT']), max_connections=4))


app = web.Application()
app.router.add_get('/work/{rid}', work)
app.on_startup.append(start)
web.run_app(app, host='127.0.0.1', port=int(os.environ['SHOP_PORT']), access_log=None, handle_signals=True)
