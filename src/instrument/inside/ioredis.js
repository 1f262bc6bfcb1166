/* ioredis: commands are made in one place, and written, many together, in another. */
(() => {
  const sends = (koala, { default: Class }) => {
    koala.patch(Class.prototype, 'sendCommand', (original) => function (command, ...words) {
      if (koala.active && command && !koala.calls.has(command)) koala.guarded(() => koala.calls.set(command, koala.capture()));
      return original.call(this, command, ...words);
    });
  };
  return [
    { path: /[\\/]ioredis[\\/]built[\\/](?:Redis|redis[\\/]index)\.js$/, install: sends },
    { path: /[\\/]ioredis[\\/]built[\\/][Pp]ipeline\.js$/, install: sends },
    { path: /[\\/]ioredis[\\/]built[\\/]cluster[\\/]index\.js$/, install: sends },
    {
      path: /[\\/]ioredis[\\/]built[\\/][Cc]ommand\.js$/,
      install(koala, { default: Command }) {
        koala.patch(Command.prototype, 'toWritable', (original) => function (...words) {
          const made = original.apply(this, words);
          if (koala.active) koala.guarded(() => {
            koala.pieces.push({ call: koala.calls.get(this) || koala.UNKNOWN, bytes: typeof made === 'string' ? Buffer.byteLength(made) : made.length });
          });
          return made;
        });
      },
    },
  ];
})()
