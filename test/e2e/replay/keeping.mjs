// A service that keeps every connection: it ends none, and asks its dependency over the same one each time. node keeping.mjs PORT HOST:PORT
import { Agent, createServer, get } from 'node:http';

const [port, dependency] = process.argv.slice(2);
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

createServer({ keepAliveTimeout: 0 }, (request, response) => {
  get(`http://${dependency}${request.url}`, { agent }, (answer) => {
    let text = '';
    answer.setEncoding('utf8').on('data', (part) => { text += part; }).on('end', () => response.end(text));
  });
}).listen(Number(port), '127.0.0.1');
