/** Redis as the rest sees it. Framing is in `redis-framer.ts`, whole values in `redis-value.ts`. */
import { latin1Text } from './ascii.ts';
import { looseText, oneLine } from './one-line.ts';
import type { Protocol, Recognition, Summary } from './protocol.ts';
import { RedisMemory } from './redis-memory.ts';
import { RedisFramer } from './redis-framer.ts';
import { readCommands, readReplies } from './redis-value.ts';

const PORT = 6379;
/** Of an argument, this much is shown. */
const maxShownBytes = 64;
const REPLY = /^[+\-:$*_#,(!=%~>|]/;
/** Inline commands that are seen in the field: health checks and people with telnet. Only with Redis' port, or an answer that is RESP. */
const INLINE = /^(PING|INFO|QUIT|AUTH|GET|SET|SELECT|ECHO|MONITOR|COMMAND|HELLO|DEL|KEYS|TTL|INCR|EXISTS|CONFIG|CLIENT|DBSIZE|TIME|ROLE)\b/i;

/** What Redis says to whom it turns away, before anything was asked (`acceptCommonHandler` in `networking.c`). Elsewhere than at its port only these: a POP3 server says `-ERR` too. */
const TURNED_AWAY = ['-ERR max number of clients', '-DENIED Redis is running in protected mode'];

function recognise(client: Uint8Array, server: Uint8Array, hint: { readonly serverPort: number }): Recognition {
  if (client.length === 0) return server.length === 0 ? 'more' : byFirstWords(server, hint.serverPort === PORT);
  const head = latin1Text(client, 0, Math.min(client.length, 64));
  if (head.startsWith('*')) {
    if (/^\*[1-9]\d{0,9}\r\n\$\d{1,10}\r\n/.test(head)) return 'yes';
    return /^\*([1-9]\d{0,9}(\r(\n(\$(\d{1,10}(\r)?)?)?)?)?)?$/.test(head) ? 'more' : 'no';
  }
  if (!/^[A-Za-z]/.test(head)) return 'no';
  const line = /^([^\r\n]*)\r?\n/.exec(head);
  if (line === null) return /^[A-Za-z]{1,10}$/.test(head) || (INLINE.test(head) && client.length < 64) ? 'more' : 'no';
  if (!INLINE.test(line[1]!) || / HTTP\/\d/.test(line[1]!)) return 'no';
  if (hint.serverPort === PORT) return 'yes';
  if (server.length === 0) return 'more';
  if (!REPLY.test(latin1Text(server, 0, 1))) return 'no';
  return server.includes(10) ? 'yes' : server.length > 4096 ? 'no' : 'more';
}

/** Redis speaks first only to turn somebody away. */
function byFirstWords(server: Uint8Array, atPort: boolean): Recognition {
  const head = latin1Text(server, 0, Math.min(server.length, 64));
  if (TURNED_AWAY.some((words) => head.startsWith(words)) || (atPort && /^-[A-Z]+ /.test(head))) return 'yes';
  return TURNED_AWAY.some((words) => words.startsWith(head)) || (atPort && /^-[A-Z]*$/.test(head) && head.length < 64) ? 'more' : 'no';
}

function shown(argument: Uint8Array): string {
  const text = looseText(argument, maxShownBytes);
  return argument.length > maxShownBytes ? `${text}…` : text;
}

/** Passwords are in the recording, but need not be in every list. */
function words(command: readonly Uint8Array[]): string[] {
  const name = latin1Text(command[0] ?? new Uint8Array(0)).toUpperCase();
  const all = [name.slice(0, maxShownBytes), ...command.slice(1, 24).map(shown)];
  if (name === 'AUTH') return [name, ...all.slice(1).map(() => '***')];
  if (name === 'HELLO') {
    const auth = all.findIndex((word) => word.toUpperCase() === 'AUTH');
    return auth < 0 ? all : all.map((word, at) => (at === auth + 1 || at === auth + 2 ? '***' : word));
  }
  return all;
}

function summarise(request: Uint8Array, response: Uint8Array): Summary {
  const { commands } = readCommands(request, 2);
  const first = commands[0];
  if (first === undefined && request.length > 0) return { text: oneLine(looseText(request.subarray(0, 200))) };
  const text = first === undefined ? 'connect' : oneLine(`${words(first).join(' ')}${commands.length > 1 ? ' …' : ''}`);
  const reply = readReplies(response, 1).replies[0];
  if (reply?.type === 'error') return { text, status: `ERROR ${oneLine(reply.text.split(' ', 1)[0]!)}` };
  return reply?.type === 'simple' ? { text, status: oneLine(reply.text) } : { text };
}

export const redis: Protocol = { name: 'redis', recognise, framer: () => new RedisFramer(), memory: () => new RedisMemory(), summarise };
