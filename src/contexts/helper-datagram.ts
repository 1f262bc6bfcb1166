/**
 * What a service says of itself in a datagram to 127.127.127.127:127: koala's commands, `<command>\n<body>`, the newline
 * mandatory. A thread's id stands in `sendto`'s flags (koala) or in the body. docs/helpers.md is what users read.
 */

/** Why a datagram had no effect. */
export type Refusal =
  | 'garbage' | 'cut' | 'unknown-command' | 'bad-id' | 'bad-body' | 'unknown-id' | 'cycle' | 'no-session' | 'too-many';

/** `thread`: decimal, without leading zeros; `0` is nobody. */
export type Said =
  | { readonly command: 'thread-shutdown' | 'set-delegated-from-thread-id'; readonly thread: string }
  | { readonly command: 'read-storage' | 'call-function' | 'return-function'; readonly body: Uint8Array }
  | { readonly command: 'set-trace-header-key'; readonly key: string; readonly value: string }
  | { readonly command: 'get-trace-header-key' | 'get-trace-header' | 'exclude' | 'include' };

const PREFIX = 'to-koala!';
/** A longer first line is no command. */
const maxCommandBytes = 64;
const NEWLINE = 10;

/** `flags`: of the call. `whole`: `bytes` are all that was sent. */
export function readHelperDatagram(flags: number, bytes: Uint8Array, whole: boolean): Said | Refusal {
  const end = bytes.subarray(0, maxCommandBytes).indexOf(NEWLINE);
  const line = end < 0 ? '' : textOf(bytes.subarray(0, end));
  if (!line.startsWith(PREFIX)) return 'garbage';
  if (!whole) return 'cut';
  const command = line.slice(PREFIX.length);
  const body = bytes.subarray(end + 1);
  switch (command) {
    case 'thread-shutdown':
    case 'set-delegated-from-thread-id': {
      const thread = threadOf(flags, body);
      return thread === undefined ? 'bad-id' : { command, thread };
    }
    case 'read-storage': case 'call-function': case 'return-function':
      return { command, body };
    case 'set-trace-header-key': {
      const at = body.indexOf(NEWLINE);
      return at <= 0 ? 'bad-body' : { command, key: textOf(body.subarray(0, at)), value: textOf(body.subarray(at + 1)) };
    }
    case 'get-trace-header-key': case 'get-trace-header': case 'exclude': case 'include':
      return { command };
    default:
      return 'unknown-command';
  }
}

/** What the body says counts, if it says anything. C programs send the NUL as well. */
function threadOf(flags: number, body: Uint8Array): string | undefined {
  const text = textOf(body).replace(/[\0\s]+$/, '').trimStart();
  if (text === '') return String(flags);
  if (!/^\d{1,20}$/.test(text)) return undefined;
  return text.replace(/^0+(?=\d)/, '');
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}
