"""Eight PostgreSQL connections of one driver: `pool(driver, url).connection()` lends one, with psycopg 3's `execute` and `transaction`."""
import contextlib


def pool(driver, url):
    return {"psycopg": psycopg_pool, "psycopg2": Psycopg2Pool}[driver](url)


def psycopg_pool(url):
    """psycopg 3's own pool; statements are prepared from the second use on."""
    import psycopg.rows
    import psycopg_pool as made

    def prepare_soon(connection):
        connection.prepare_threshold = 2
        connection.autocommit = True

    connections = made.ConnectionPool(url, min_size=8, max_size=8, configure=prepare_soon, kwargs={"row_factory": psycopg.rows.dict_row})
    connections.wait()
    return connections


class Psycopg2Pool:
    """psycopg2's: parameters are written into the statement's text."""

    def __init__(self, url):
        import psycopg2.extras
        import psycopg2.pool

        self._all = psycopg2.pool.ThreadedConnectionPool(8, 12, url, cursor_factory=psycopg2.extras.RealDictCursor)

    @contextlib.contextmanager
    def connection(self):
        lent = self._all.getconn()
        lent.autocommit = True
        try:
            yield Psycopg2Connection(lent)
        finally:
            self._all.putconn(lent)


class Psycopg2Connection:
    def __init__(self, lent):
        self._lent = lent

    def execute(self, statement, parameters=None):
        cursor = self._lent.cursor()
        cursor.execute(statement, parameters)
        return cursor

    @contextlib.contextmanager
    def transaction(self):
        self._lent.autocommit = False
        try:
            with self._lent:
                yield
        finally:
            self._lent.autocommit = True
