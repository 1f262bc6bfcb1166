/* node-postgres: a client queues queries, and writes each when the one before it is done. */
[
  {
    path: /[\\/]pg[\\/]lib[\\/]client\.js$/,
    install(koala, Client) {
      koala.patch(Client.prototype, 'query', (original) => function (config, values, callback) {
        if (!koala.active) return original.call(this, config, values, callback);
        const call = koala.capture();
        if (config && typeof config.submit === 'function') koala.calls.set(config, call);
        const result = koala.as(call, () => original.call(this, config, koala.bind(values), koala.bind(callback)));
        koala.guarded(() => {
          const queue = this._queryQueue;
          const last = queue && queue[queue.length - 1];
          if (last && !koala.calls.has(last)) koala.calls.set(last, call);
        });
        return result;
      });
      // For what brings a `submit` of its own (cursors, streams).
      koala.patch(Client.prototype, '_pulseQueryQueue', (original) => function () {
        const next = koala.active && !this.pipeline && this._queryQueue ? this._queryQueue[0] : undefined;
        const call = next && koala.calls.get(next);
        return call === undefined ? original.call(this) : koala.as(call, () => original.call(this));
      });
    },
  },
  {
    path: /[\\/]pg[\\/]lib[\\/]query\.js$/,
    install(koala, Query) {
      koala.patch(Query.prototype, 'submit', (original) => function (connection) {
        const call = koala.active ? koala.calls.get(this) : undefined;
        return call === undefined ? original.call(this, connection) : koala.as(call, () => original.call(this, connection));
      });
    },
  },
  {
    path: /[\\/]pg-pool[\\/]index\.js$/,
    install(koala, Pool) {
      koala.patch(Pool.prototype, 'connect', (original) => function (callback) {
        return original.call(this, koala.bind(callback));
      });
      koala.patch(Pool.prototype, 'query', (original) => function (text, values, callback) {
        return original.call(this, text, koala.bind(values), koala.bind(callback));
      });
    },
  },
]
