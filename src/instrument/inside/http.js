/* Node's own http: requests that come in, and calls through http.request, an agent's queue included. */
({
  install(koala) {
    const http = koala.load('http');
    const jobs = new WeakMap();
    koala.listen('http.server.request.start', ({ request, socket }) => {
      const state = koala.stateOf(socket);
      const inode = koala.inodeOf(socket, state);
      if (!inode) return koala.requests.enterWith(undefined);
      // By TLS what is read is not what came.
      const read = socket.encrypted ? -1 : socket.bytesRead;
      state.nth = read >= 0 && read === state.heads ? state.nth + 1 : 0;
      state.heads = read;
      const job = { inode, read, nth: state.nth, over: false };
      jobs.set(request, job);
      koala.requests.enterWith(job);
    });
    koala.listen('http.server.response.finish', ({ request }) => {
      const job = jobs.get(request);
      if (job !== undefined) job.over = true;
    });
    koala.patch(http.Agent.prototype, 'addRequest', (original) => function (request, ...words) {
      if (koala.active) koala.guarded(() => koala.calls.set(request, koala.capture()));
      return original.call(this, request, ...words);
    });
    koala.patch(http.ClientRequest.prototype, 'onSocket', (original) => function (...words) {
      if (!koala.active) return original.apply(this, words);
      let call = koala.calls.get(this);
      if (call === undefined) koala.calls.set(this, (call = koala.capture()));
      // A socket that is freed, or made for the next in the queue, comes in another request's wake.
      return koala.requests.run(call.job, () => original.apply(this, words));
    });
  },
})
