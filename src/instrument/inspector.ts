/** Node's inspector: who it is, and one expression evaluated in it. */
import { get } from 'node:http';
import WebSocket from 'ws';
import { INSPECTOR_CLIENT } from '../store/left-out.ts';

const ASK_MS = 2_000;
/** A service may be busy for long: its event loop must come round once. */
export const EVALUATE_MS = 20_000;

export interface Target {
  readonly url: string;
  /** `20.11.0`; undefined: not Node's. */
  readonly version: string | undefined;
}

/** Of the inspector that listens there. Rejects with whatever the connection met. */
export async function targetAt(host: string, port: number): Promise<Target> {
  const version = /^node\.js\/v(\d+\.\d+\.\d+)/.exec(String((await json(host, port, '/json/version') as { Browser?: unknown }).Browser))?.[1];
  const [first] = await json(host, port, '/json/list') as { webSocketDebuggerUrl?: unknown }[];
  if (typeof first?.webSocketDebuggerUrl !== 'string') throw new Error('the inspector names no target');
  return { url: first.webSocketDebuggerUrl, version };
}

function json(host: string, port: number, path: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const request = get({ host, port, path, agent: false, localAddress: INSPECTOR_CLIENT, timeout: ASK_MS }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => { text += part; }).on('error', reject);
      response.on('end', () => {
        try {
          resolve(JSON.parse(text));
        } catch (error) {
          reject(error as Error);
        }
      });
    });
    request.on('error', reject).on('timeout', () => request.destroy(new Error('the inspector does not answer')));
  });
}

/** The value that `expression` comes to, promises waited for; the connection is gone by then. Rejects with what was thrown. */
export function evaluate({ url }: Target, expression: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { localAddress: INSPECTOR_CLIENT, perMessageDeflate: false, handshakeTimeout: ASK_MS });
    const done = (settle: () => void): void => {
      clearTimeout(timer);
      socket.removeAllListeners().on('error', () => undefined).terminate();
      settle();
    };
    const timer = setTimeout(() => done(() => reject(new Error(`its event loop did not come round within ${EVALUATE_MS / 1000} s`))), EVALUATE_MS);
    socket.on('open', () => socket.send(JSON.stringify({
      id: 1, method: 'Runtime.evaluate', params: { expression, includeCommandLineAPI: true, awaitPromise: true, returnByValue: true },
    })));
    socket.on('message', (data: Buffer) => {
      const { id, result, error } = JSON.parse(data.toString()) as {
        id?: number; error?: { message: string }; result?: { result?: { value?: unknown }; exceptionDetails?: { text: string; exception?: { description?: string } } };
      };
      if (id !== 1) return;
      const thrown = error?.message ?? result?.exceptionDetails?.exception?.description ?? result?.exceptionDetails?.text;
      done(() => thrown === undefined ? resolve(result?.result?.value) : reject(new Error(thrown)));
    });
    socket.on('error', (error) => done(() => reject(error)));
    socket.on('close', () => done(() => reject(new Error('the inspector closed the connection'))));
  });
}
