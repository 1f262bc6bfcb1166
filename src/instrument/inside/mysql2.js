/* mysql2: a connection queues commands, and writes each when the one before it is done; a pool queues who waits for a connection. */
[
  {
    path: /[\\/]mysql2[\\/]lib[\\/](?:base[\\/])?connection\.js$/,
    install(koala, Connection) {
      // The class on top (lib/connection.js) inherits both.
      if (!Connection.prototype || !Object.hasOwn(Connection.prototype, 'addCommand')) return;
      koala.patch(Connection.prototype, 'addCommand', (original) => function (command) {
        if (koala.active && command) koala.guarded(() => {
          koala.calls.set(command, koala.capture());
          if (typeof command.onResult === 'function') command.onResult = koala.bind(command.onResult);
        });
        return original.call(this, command);
      });
      koala.patch(Connection.prototype, 'writePacket', (original) => function (packet) {
        const call = koala.active && this._command ? koala.calls.get(this._command) : undefined;
        return call === undefined ? original.call(this, packet) : koala.as(call, () => original.call(this, packet));
      });
    },
  },
  {
    path: /[\\/]mysql2[\\/]lib[\\/](?:base[\\/])?pool\.js$/,
    install(koala, Pool) {
      if (!Pool.prototype || !Object.hasOwn(Pool.prototype, 'getConnection')) return;
      koala.patch(Pool.prototype, 'getConnection', (original) => function (callback) {
        return original.call(this, koala.bind(callback));
      });
    },
  },
]
