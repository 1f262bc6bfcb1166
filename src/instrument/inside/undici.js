/*
 * undici, and the fetch that is built on it. A pool queues what it is asked to dispatch, and makes a request of it when a
 * connection is free; the same handler goes through both. undici's own channels tell when that request is made, and when its
 * head is about to be written.
 */
(() => {
  /** The latter since undici 8, which puts a shim of the former's kind before it. */
  const GLOBALS = ['undici.globalDispatcher.1', 'undici.globalDispatcher.2'].map(Symbol.for);
  const handlers = new WeakMap();
  const seen = new WeakSet();

  const dispatches = (koala, prototype) => {
    if (!prototype || seen.has(prototype) || !Object.hasOwn(prototype, 'dispatch')) return;
    seen.add(prototype);
    koala.patch(prototype, 'dispatch', (original) => function (options, handler) {
      if (!koala.active || handler === null || typeof handler !== 'object') return original.call(this, options, handler);
      let call = handlers.get(handler);
      if (call === undefined) handlers.set(handler, (call = koala.capture()));
      return koala.as(call, () => original.call(this, options, handler));
    });
  };

  /** The undici inside Node shows itself once fetch was used. */
  const builtIn = (koala) => {
    for (const name of GLOBALS) {
      let object = globalThis[name];
      while (object && !Object.hasOwn(object, 'dispatch')) object = Object.getPrototypeOf(object);
      dispatches(koala, object);
    }
  };

  return [
    {
      install(koala) {
        builtIn(koala);
        koala.scans.push(() => builtIn(koala));
        koala.listen('undici:request:create', ({ request }) => {
          const call = koala.capture();
          // Made out of our sight: a queue that we don't know may have kept it.
          call.sure = koala.acting !== undefined;
          koala.calls.set(request, call);
        });
        koala.listen('undici:client:sendHeaders', ({ request, socket }) => {
          const state = koala.stateOf(socket);
          const at = koala.positionOf(socket);
          state.managed = true;
          if (at !== undefined && state.inode !== 0) koala.note(socket, state, koala.calls.get(request) || koala.UNKNOWN, at);
        });
      },
    },
    {
      path: /[\\/]undici[\\/]lib[\\/](?:dispatcher[\\/])?dispatcher-base\.js$/,
      install: (koala, Base) => dispatches(koala, Base.prototype),
    },
  ];
})()
