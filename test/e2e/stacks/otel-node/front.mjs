// A front on one event loop, traced by OpenTelemetry's SDK as its documentation says: GET /work/RID asks PostgreSQL and twice the back, through
// pools that are smaller than the concurrency. Each span that has ended is a line of the file SPANS.
import { createWriteStream } from 'node:fs';
import { createRequire } from 'node:module';
import { registerInstrumentations } from '@opentelemetry/instrumentation';
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http';
import { PgInstrumentation } from '@opentelemetry/instrumentation-pg';
import { NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';

const file = createWriteStream(process.env.SPANS);
const exporter = {
  export(spans, done) {
    for (const span of spans) {
      const { traceId, spanId } = span.spanContext();
      const { 'http.target': target, 'url.path': path } = span.attributes;
      file.write(`${JSON.stringify({ traceId, spanId, parentSpanId: span.parentSpanContext?.spanId, name: span.name, path: path ?? target })}\n`);
    }
    done({ code: 0 });
  },
  shutdown: async () => {},
};
new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register();
registerInstrumentations({ instrumentations: [new HttpInstrumentation(), new PgInstrumentation({ addSqlCommenterCommentToQueries: true })] });

// The SDK gets hold of what is required; of what is imported it does only with a loader.
const load = createRequire(import.meta.url);
const http = load('node:http');
const pg = load('pg');

const { FRONT_PORT, BACK_PORT, FRONT_PG } = process.env;
const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
const pool = new pg.Pool({ connectionString: FRONT_PG, max: 4 });

function ask(path) {
  return new Promise((resolve, reject) => {
    http.get({ host: '127.0.0.1', port: BACK_PORT, path, agent }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part) => { text += part; }).on('end', () => resolve(text));
    }).on('error', reject);
  });
}

http.createServer(async (request, response) => {
  try {
    const rid = request.url.split('/')[2];
    const { rows } = await pool.query(`select '${rid}' as rid`);
    const prices = await Promise.all([ask(`/price/${rows[0].rid}/0`), ask(`/price/${rid}/1`)]);
    response.end(`${rid}: ${prices.join()}`);
  } catch (error) {
    response.writeHead(500).end(String(error));
  }
}).listen(Number(FRONT_PORT), '127.0.0.1');
