/** A dependency that a test makes: answers whatever it is sent. */
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Answering {
  /** As a plan's step names it: IP:PORT. */
  readonly to: string;
  stop(): void;
}

/** On loopback. Sends what `answer` makes of each request, `afterMs` later. */
export async function answering(answer: (request: string) => string, afterMs = 0): Promise<Answering> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => { /* the service ended */ });
    socket.on('data', (request: Buffer) => {
      const said = answer(request.toString('latin1'));
      if (afterMs === 0) socket.write(said);
      else void sleep(afterMs).then(() => socket.write(said));
    });
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return {
    to: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
