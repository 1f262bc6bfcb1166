/*
 * Runs inside the service: tells koala-bpf which request each outgoing call belongs to, as the runtime itself knows it.
 * Evaluated once, through the inspector, which is closed right after; from then on nobody talks to this code. It
 *
 *   remembers, at each request's start, which one it is, in an AsyncLocalStorage of its own;
 *   takes that along from where a call is made to where it is written (pools and pipelines write in another's wake);
 *   says so, before the bytes are written, in a datagram to `options.host` and `.port`, which the recorder reads in the kernel:
 *   out (inode of the socket), at (stream position), in (inode of the request's socket), read, nth (which request there);
 *   undoes everything when nobody holds that address any more: the recorder has left, or is dead.
 *
 * It must never disturb the service: no hook throws, and after MAX_FAILURES of its own it undoes itself.
 * Plain JavaScript for Node 18 and later, without imports: it is sent as text. `parts`: a file each, for each library.
 */
(options, parts, load) => {
  const KEY = Symbol.for('koala-bpf.instrument');
  const MAX_FAILURES = 20;
  const BEAT_MS = 500;
  /** Bytes and chunks that wait in a socket: past that a position would cost more than it is worth. */
  const MAX_WAITING = 1 << 20;
  const MAX_CHUNKS = 64;
  /** Datagrams on their way. */
  const MAX_QUEUE = 1024;
  const REFUSED = 'ECONNREFUSED';
  const REFUSALS = 3;

  const { AsyncLocalStorage } = load('async_hooks');
  const channels = load('diagnostics_channel');
  const dgram = load('dgram');
  const fs = load('fs');
  const net = load('net');
  const modules = load('module')._cache;

  const before = process[KEY];
  if (before !== undefined && before.version === options.version) return { state: 'on', port: before.port, shared: true };
  if (before !== undefined) before.undo();

  let active = false;
  let failures = 0;
  let sent = 0;
  let refusals = 0;
  let refusedMs = 0;
  let udp;
  let timer;
  let scanned = 0;
  /** The call in whose name something is written right now, as who made it said. */
  let acting;
  const requests = new AsyncLocalStorage();
  const calls = new WeakMap();
  const sockets = new WeakMap();
  const undoing = [];
  const examined = new WeakSet();
  /** What parts look for themselves, whenever something may be new. */
  const scans = [];

  /** Whatever goes wrong in here is ours alone. */
  const guarded = (work) => {
    try {
      return work();
    } catch {
      failures += 1;
      if (failures >= MAX_FAILURES) undo();
      return undefined;
    }
  };

  const undo = () => {
    if (!active && udp === undefined) return;
    active = false;
    clearInterval(timer);
    for (const one of undoing.splice(0).reverse()) {
      try {
        one();
      } catch { /* the next ones all the same */ }
    }
    requests.disable();
    delete process[KEY];
    const last = udp;
    udp = undefined;
    try {
      last.close();
    } catch { /* closed already */ }
  };

  /** Nobody holds the address, it seems: so it is when that is said several times within a short while. */
  const onSent = (error) => {
    if (!error || error.code !== REFUSED) return;
    const nowMs = Date.now();
    refusals = nowMs - refusedMs > 4 * BEAT_MS ? 1 : refusals + 1;
    refusedMs = nowMs;
    if (refusals >= REFUSALS) undo();
  };

  const tell = (message) => {
    message.n = sent;
    sent += 1; // also of what is not sent: the gap shows
    if (udp.getSendQueueCount !== undefined && udp.getSendQueueCount() > MAX_QUEUE) return;
    udp.send(`to-koala!runtime\n${JSON.stringify(message)}`, onSent);
  };

  /** `wrap(original)` is what takes its place, until undone. Somebody else's wrapper around ours stays, and ours then does nothing. */
  const patch = (object, name, wrap) => {
    const own = Object.getOwnPropertyDescriptor(object, name);
    const original = object[name];
    if (typeof original !== 'function' || (own !== undefined && (!own.configurable || own.get !== undefined))) return;
    const wrapper = wrap(original);
    Object.defineProperty(object, name, { value: wrapper, configurable: true, writable: true, enumerable: own === undefined ? false : own.enumerable });
    undoing.push(() => {
      const now = Object.getOwnPropertyDescriptor(object, name);
      if (now === undefined || now.value !== wrapper) return;
      if (own === undefined) delete object[name];
      else Object.defineProperty(object, name, own);
    });
  };

  const listen = (name, listener) => {
    const heard = (message) => { if (active) guarded(() => listener(message)); };
    channels.subscribe(name, heard);
    undoing.push(() => channels.unsubscribe(name, heard));
  };

  const stateOf = (socket) => {
    let state = sockets.get(socket);
    if (state === undefined) sockets.set(socket, (state = { inode: undefined, noted: undefined, read: 0, held: undefined, heads: -1, nth: 0, managed: false }));
    return state;
  };

  /** Of the socket behind it; 0: it is none (a pipe, a terminal). Undefined: not known yet. */
  const inodeOf = (socket, state) => {
    if (state.inode !== undefined) return state.inode;
    const fd = socket._handle ? socket._handle.fd : undefined;
    if (fd === undefined || fd < 0) return undefined;
    const found = /^socket:\[(\d+)\]$/.exec(fs.readlinkSync(`/proc/self/fd/${fd}`));
    return (state.inode = found === null ? 0 : Number(found[1]));
  };

  /** The call that is made here and now, for whichever request. */
  const capture = () => ({ job: acting === undefined ? requests.getStore() : acting.job, sure: true });

  const as = (call, work) => {
    const outer = acting;
    acting = call;
    try {
      return work();
    } finally {
      acting = outer;
    }
  };

  /** A callback goes on with the request at hand, whoever calls it. */
  const bind = (callback) => {
    if (!active || typeof callback !== 'function') return callback;
    const job = acting === undefined ? requests.getStore() : acting.job;
    return function (...words) {
      return active ? requests.run(job, () => callback.apply(this, words)) : callback.apply(this, words);
    };
  };

  const say = (state, call, at) => {
    const { job, sure } = call;
    tell({ out: state.inode, at, sure: sure ? 1 : 0, ...(job === undefined ? {} : { in: job.inode, read: job.read, nth: job.nth }) });
  };

  const release = (socket, state) => {
    const { held } = state;
    state.held = undefined;
    if (held === undefined || !active || !inodeOf(socket, state)) return;
    for (const [call, at] of held) say(state, call, at);
  };

  /** What is written on `socket` from `at` on is `call`'s. */
  const note = (socket, state, call, at) => {
    state.noted = call;
    state.read = socket.bytesRead;
    if (!socket.connecting && inodeOf(socket, state) !== undefined) {
      if (state.held !== undefined) release(socket, state);
      if (state.inode !== 0) say(state, call, at);
      return;
    }
    if (state.held === undefined) {
      state.held = [];
      socket.prependOnceListener('connect', () => guarded(() => release(socket, state)));
    }
    if (state.held.length < MAX_CHUNKS) state.held.push([call, at]);
  };

  /** Stream position of what is written next; -1: whatever comes next (TLS). Undefined: too dear to find out. */
  const positionOf = (socket) => {
    if (socket.encrypted) return -1;
    if (socket.writableLength > MAX_WAITING) return undefined;
    const waiting = socket._writableState && socket._writableState.buffered;
    if (waiting && waiting.length > MAX_CHUNKS) return undefined;
    return socket.bytesWritten;
  };

  const UNKNOWN = { job: undefined, sure: false };

  /** Whose the next bytes on `socket` are: as who made the call said, else as the context has it in which they are written. */
  const callOn = (socket, state) => {
    if (acting !== undefined) return acting;
    const asked = socket._httpMessage && calls.get(socket._httpMessage);
    if (asked !== undefined && asked !== null) return asked;
    if (state.managed) return state.noted;
    const job = requests.getStore();
    const known = job !== undefined && !job.over ? job : undefined;
    const { noted } = state;
    // More of the same, to which the other end has said nothing.
    if (noted !== undefined && !noted.sure && noted.job === known && state.read === socket.bytesRead) return noted;
    return { job: known, sure: false };
  };

  /** Commands that were made into bytes and are about to be written, together: {call, bytes}. */
  const pieces = [];

  const isPieces = (size) => {
    let sum = 0;
    for (let at = 0; at < pieces.length; at += 1) {
      sum += pieces[at].bytes;
      if (sum === size) return at + 1;
      if (sum > size) break;
    }
    pieces.length = 0;
    return 0;
  };

  const written = (socket, chunk, encoding) => {
    if (socket.server || socket._server || !socket._handle) return;
    const state = stateOf(socket);
    if (state.inode === 0) return;
    let at = positionOf(socket);
    if (at === undefined) {
      if (state.noted !== UNKNOWN) state.noted = undefined;
      return;
    }
    if (pieces.length > 0 && at >= 0) {
      const count = isPieces(typeof chunk === 'string' ? Buffer.byteLength(chunk, typeof encoding === 'string' ? encoding : 'utf8') : chunk.length);
      if (count > 0) {
        for (const { call, bytes } of pieces.splice(0, count)) {
          note(socket, state, call, at);
          at += bytes;
        }
        return;
      }
    }
    const call = callOn(socket, state);
    if (call !== state.noted) note(socket, state, call, at);
  };

  /** Libraries that were loaded since. */
  const scan = () => {
    for (const one of scans) one();
    const names = Object.keys(modules);
    if (names.length === scanned) return;
    scanned = names.length;
    for (const name of names) {
      const part = parts.find((one) => one.path !== undefined && one.path.test(name));
      if (part === undefined) continue;
      const { exports, loaded } = modules[name];
      if (!loaded) {
        scanned = 0;
        continue;
      }
      if (exports === null || typeof exports !== 'object' && typeof exports !== 'function' || examined.has(exports)) continue;
      examined.add(exports);
      guarded(() => part.install(koala, exports));
    }
  };

  const koala = {
    patch, listen, scans, stateOf, inodeOf, capture, as, bind, note, positionOf, calls, requests, pieces, guarded, load, UNKNOWN,
    get active() { return active; },
    get acting() { return acting; },
  };

  const install = () => {
    active = true;
    for (const part of parts) if (part.path === undefined) part.install(koala);
    patch(net.Socket.prototype, 'write', (original) => function (chunk, encoding, callback) {
      if (active && chunk !== null && chunk !== undefined) guarded(() => written(this, chunk, encoding));
      return original.call(this, chunk, encoding, callback);
    });
    patch(net.Socket.prototype, 'end', (original) => function (chunk, encoding, callback) {
      if (active && chunk !== null && chunk !== undefined && typeof chunk !== 'function') guarded(() => written(this, chunk, encoding));
      return original.call(this, chunk, encoding, callback);
    });
    patch(net.Socket.prototype, 'connect', (original) => function (...words) {
      if (active) guarded(() => {
        sockets.delete(this); // another connection than the one before, if there was one
        scan();
      });
      return original.apply(this, words);
    });
    scan();
    timer = setInterval(() => {
      guarded(scan);
      if (failures > 0) failures -= 1; // long ago
      if (active) guarded(() => udp.send(`to-koala!runtime\n{"beat":${sent}}`, onSent));
    }, BEAT_MS);
    timer.unref();
    Object.defineProperty(process, KEY, { value: { version: options.version, port: udp.address().port, undo }, configurable: true, enumerable: false });
    return { state: 'on', port: udp.address().port };
  };

  return new Promise((resolve) => {
    const refuse = (error) => {
      undo();
      resolve({ state: 'refused', why: String((error && error.message) || error) });
    };
    try {
      udp = dgram.createSocket({ type: 'udp4', lookup: (host, _options, done) => done(null, host, 4) });
      udp.unref();
      udp.on('error', (error) => (active ? onSent(error) : refuse(error)));
      udp.connect(options.port, options.host, () => {
        try {
          resolve(install());
        } catch (error) {
          refuse(error);
        }
      });
    } catch (error) {
      refuse(error);
    }
  });
}
