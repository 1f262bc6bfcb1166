/** Which calls a process can keep the answer of: those that ask. What changes something at the other side is made each time. */
import { protocolNamed } from '../protocols/index.ts';
import type { ProtocolName } from '../protocols/protocol.ts';

const NOTHING = new Uint8Array(0);
const SQL = /^(?:PREPARE\s+)?(?:insert|update|delete|replace|merge|call|begin|start|commit|rollback|create|drop|alter|truncate|lock)\b/i;

/** By what people are shown of a request. A POST may well ask (a token, GraphQL). */
const CHANGES: Readonly<Record<string, RegExp>> = {
  http: /^(?:PUT|PATCH|DELETE) /,
  postgresql: SQL,
  mysql: SQL,
  redis: /^(?:SET|SETEX|SETNX|PSETEX|MSET|MSETNX|GETSET|GETDEL|APPEND|DEL|UNLINK|INCR\w*|DECR\w*|[LR]PUSHX?|B?[LR]POP\w*|BZPOP\w*|ZPOP\w*|[SHZX]ADD|[SHZ]REM\w*|HSET\w*|HMSET|HDEL|HINCR\w*|ZINCR\w*|EXPIRE\w*|PEXPIRE\w*|PERSIST|PUBLISH|EVAL\w*|MULTI|EXEC|DISCARD|FLUSH\w*|RENAME\w*)\b/i,
};

export function mayBeKept(request: Uint8Array, protocol: ProtocolName): boolean {
  const changes = Object.hasOwn(CHANGES, protocol) ? CHANGES[protocol] : undefined;
  return changes === undefined || !changes.test(protocolNamed(protocol).summarise(request, NOTHING).text.trimStart());
}
