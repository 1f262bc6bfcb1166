#!/usr/bin/env python3
"""The demo's service: totals of orders. A thread for each client connection, only the standard library.

GET /orders/ID asks Redis for the order, the price list (HTTP) for the price, writes the total back to Redis, answers JSON.

    service.py --port N --redis HOST:PORT --prices HOST:PORT

DEMO_BUG=1 brings in one deliberate bug: the discount begins one piece too late.
"""
import argparse
import http.client
import http.server
import json
import os
import socket
import threading

DISCOUNT_FROM = 6 if os.environ.get('DEMO_BUG') == '1' else 5


class Redis:
    """Just enough RESP2 for GET and SET; one connection a thread."""

    def __init__(self, host, port, password):
        self.socket = socket.create_connection((host, port), timeout=10)
        self.reader = self.socket.makefile('rb')
        self.command('AUTH', password)
        self.command('CLIENT', 'SETNAME', 'orders')

    def command(self, *words):
        parts = [f'*{len(words)}\r\n'.encode()]
        for word in words:
            data = str(word).encode()
            parts.append(f'${len(data)}\r\n'.encode() + data + b'\r\n')
        self.socket.sendall(b''.join(parts))
        return self.answer()

    def answer(self):
        line = self.reader.readline()
        kind, rest = line[:1], line[1:].strip()
        if kind == b'-':
            raise RuntimeError(rest.decode())
        if kind != b'$':
            return rest.decode()
        length = int(rest)
        if length < 0:
            return None
        data = self.reader.read(length + 2)
        return data[:-2].decode()


class Orders(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    disable_nagle_algorithm = True
    kept = threading.local()
    options = None

    def redis(self):
        if not hasattr(self.kept, 'redis'):
            self.kept.redis = Redis(*address(self.options.redis), os.environ.get('REDIS_PASSWORD', 'demo'))
        return self.kept.redis

    def price(self, sku):
        if not hasattr(self.kept, 'prices'):
            self.kept.prices = http.client.HTTPConnection(*address(self.options.prices), timeout=10)
        self.kept.prices.request('GET', f'/prices/{sku}', headers={'Accept': 'application/json'})
        answer = self.kept.prices.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f'the price list says {answer.status}')
        return json.loads(body)['cents']

    def do_GET(self):
        try:
            status, answer = self.total(self.path.removeprefix('/orders/'))
        except Exception as error:  # whatever a dependency did: the client gets an answer
            status, answer = 503, {'error': str(error)}
        body = json.dumps(answer).encode() + b'\n'
        head = (f'HTTP/1.1 {status} {http.client.responses[status]}\r\nContent-Type: application/json\r\n'
                f'Content-Length: {len(body)}\r\n\r\n')
        self.wfile.write(head.encode() + body)

    def total(self, number):
        found = self.redis().command('GET', f'order:{number}')
        if found is None:
            return 404, {'error': f'no order {number}'}
        order = json.loads(found)
        cents = self.price(order['sku']) * order['quantity']
        if order['quantity'] >= DISCOUNT_FROM:
            cents = cents * 90 // 100
        self.redis().command('SET', f'order:{number}:total', cents)
        return 200, {'order': int(number), 'sku': order['sku'], 'quantity': order['quantity'], 'totalCents': cents}

    def log_message(self, *_):
        pass


def address(text):
    host, port = text.rsplit(':', 1)
    return host, int(port)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description='the demo\'s service')
    parser.add_argument('--port', type=int, required=True)
    parser.add_argument('--redis', required=True, metavar='HOST:PORT')
    parser.add_argument('--prices', required=True, metavar='HOST:PORT')
    Orders.options = parser.parse_args()
    Server(('127.0.0.1', Orders.options.port), Orders).serve_forever()
