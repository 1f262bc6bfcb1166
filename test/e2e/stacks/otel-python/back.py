"""A back under gunicorn's threads, traced by OpenTelemetry's SDK: GET /price/RID/N asks PostgreSQL, and the driver's queries carry the trace
in a comment (sqlcommenter). Each span that has ended is a line of the file SPANS."""
import json
import os
import threading

import flask
import psycopg2
from opentelemetry import trace
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.psycopg2 import Psycopg2Instrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult


class Lines(SpanExporter):
    def __init__(self):
        self.file = open(os.environ["SPANS"], "w", buffering=1)

    def export(self, spans):
        for span in spans:
            context = span.get_span_context()
            parent = format(span.parent.span_id, "016x") if span.parent else None
            path = span.attributes.get("url.path", span.attributes.get("http.target"))
            self.file.write(json.dumps({
                "traceId": format(context.trace_id, "032x"), "spanId": format(context.span_id, "016x"), "parentSpanId": parent, "name": span.name, "path": path,
            }) + "\n")
        return SpanExportResult.SUCCESS


provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(Lines()))
trace.set_tracer_provider(provider)
Psycopg2Instrumentor().instrument(enable_commenter=True, skip_dep_check=True)

app = flask.Flask(__name__)
FlaskInstrumentor().instrument_app(app)
local = threading.local()


def connection():
    if not hasattr(local, "connection"):
        local.connection = psycopg2.connect(os.environ["BACK_PG"])
        local.connection.autocommit = True
    return local.connection


@app.get("/price/<rid>/<n>")
def price(rid, n):
    with connection().cursor() as cursor:
        cursor.execute("select %s || %s", (rid, n))
        return cursor.fetchone()[0]
