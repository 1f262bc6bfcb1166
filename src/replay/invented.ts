/** What a set-up request is answered with where no set-up of its destination was recorded (its connections were older than the recorder): it is agreed to. */
import { mysqlOk } from '../protocols/mysql-packets.ts';
import type { ProtocolName } from '../protocols/protocol.ts';

const text = (value: string): Uint8Array => Buffer.from(value, 'latin1');
const bulk = (value: string): string => `$${value.length}\r\n${value}\r\n`;

/** Redis says more than OK to some: their clients read it. `HELLO` turns to RESP3 only where it asks to. */
function redis(request: Uint8Array): Uint8Array {
  const words = Buffer.from(request.subarray(0, 512)).toString('latin1').split('\r\n').filter((line) => line !== '' && !/^[*$]\d/.test(line));
  const [command = '', word = ''] = words.length > 1 ? words : (words[0] ?? '').split(/\s+/);
  switch (`${command} ${command.toUpperCase() === 'HELLO' ? '' : word}`.trim().toUpperCase()) {
    case 'HELLO': {
      const fields = ['server', 'redis', 'version', '7.0.0', 'mode', 'standalone', 'role', 'master'].map(bulk).join('');
      return text(`${word === '3' ? '%6' : '*12'}\r\n${fields}${bulk('proto')}:${word === '3' ? 3 : 2}\r\n${bulk('modules')}*0\r\n`);
    }
    case 'CLIENT ID': return text(':1\r\n');
    case 'CLIENT GETNAME': return text('$-1\r\n');
    case 'COMMAND': case 'COMMAND DOCS': return text('*0\r\n');
    default: return text('+OK\r\n');
  }
}

/** CommandComplete SET, ReadyForQuery. */
const POSTGRESQL = text('C\0\0\0\bSET\0Z\0\0\0\x05I');
const MYSQL = mysqlOk(1);

/** The agreement; undefined for a protocol that knows none. */
export function invented(protocol: ProtocolName, request: Uint8Array): Uint8Array | undefined {
  if (protocol === 'redis') return redis(request);
  if (protocol === 'postgresql') return POSTGRESQL;
  return protocol === 'mysql' ? MYSQL : undefined;
}
