/** Servers of several frameworks, by name: each answers `done` to /NAME once `work(NAME)` is over, and resolves to its port on loopback. */
import Hapi from '@hapi/hapi';
import express from 'express';
import fastify from 'fastify';
import Koa from 'koa';

const listening = (server) => new Promise((resolve) => { server.once('listening', () => { resolve(server.address().port); }); });

export const servers = {
  Express(work) {
    const app = express().use(express.json()).get('/:name', async (request, response) => {
      await work(request.params.name);
      response.send('done');
    });
    return listening(app.listen(0, '127.0.0.1'));
  },
  async Fastify(work) {
    const app = fastify().get('/:name', async (request) => {
      await work(request.params.name);
      return 'done';
    });
    await app.listen({ port: 0, host: '127.0.0.1' });
    return app.server.address().port;
  },
  async hapi(work) {
    const app = Hapi.server({ port: 0, host: '127.0.0.1' });
    app.route({ method: 'GET', path: '/{name}', handler: async (request) => {
      await work(request.params.name);
      return 'done';
    } });
    await app.start();
    return app.info.port;
  },
  Koa(work) {
    const app = new Koa().use(async (context) => {
      await work(context.path.slice(1));
      context.body = 'done';
    });
    return listening(app.listen(0, '127.0.0.1'));
  },
};
