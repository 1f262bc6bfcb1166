/** FastCGI as the rest sees it. Framing is in `fastcgi-framer.ts`, contents in `fastcgi-records.ts`. */
import { FastcgiFramer, TYPE } from './fastcgi-framer.ts';
import { readPairs, readStreams } from './fastcgi-records.ts';
import { looseText, oneLine } from './one-line.ts';
import type { Protocol, Recognition, Summary } from './protocol.ts';

/** A first record is BEGIN_REQUEST (8 bytes of content, a role that there is) or GET_VALUES (request id 0). */
function recognise(client: Uint8Array, server: Uint8Array): Recognition {
  if (client.length === 0) return server.length === 0 ? 'more' : 'no'; // it never speaks first
  if (client[0] !== 1) return 'no';
  if (client.length < 2) return 'more';
  const type = client[1];
  if (type !== TYPE.begin && type !== TYPE.getValues) return 'no';
  if (client.length < 10) return 'more';
  const id = client[2]! << 8 | client[3]!;
  if (type === TYPE.getValues) return id === 0 && client[7] === 0 ? 'yes' : 'no';
  const role = client[8]! << 8 | client[9]!;
  return id > 0 && client[4] === 0 && client[5] === 8 && role >= 1 && role <= 3 ? 'yes' : 'no';
}

/** `Status:` of the CGI header; without one, or with a Location alone, as CGI says (RFC 3875 §6.2). */
function statusOf(stdout: Uint8Array): string | undefined {
  if (stdout.length === 0) return undefined;
  const head = looseText(stdout, 1 << 14).split(/\r?\n\r?\n/, 1)[0]!;
  const status = /^Status:\s*(\d{3})/im.exec(head)?.[1];
  return status ?? (/^Location:/im.test(head) ? '302' : '200');
}

function summarise(request: Uint8Array, response: Uint8Array): Summary {
  if (request[1] === TYPE.getValues) return { text: 'FastCGI GET_VALUES' };
  const pairs = new Map(readPairs(readStreams(request.subarray(0, 1 << 17)).params));
  const uri = pairs.get('REQUEST_URI') ?? pairs.get('DOCUMENT_URI') ?? pairs.get('SCRIPT_NAME') ?? pairs.get('SCRIPT_FILENAME') ?? '';
  const text = oneLine(`${pairs.get('REQUEST_METHOD') ?? 'FastCGI'} ${uri}`);
  const status = statusOf(readStreams(response).stdout);
  return status === undefined ? { text } : { text, status };
}

export const fastcgi: Protocol = { name: 'fastcgi', recognise, framer: () => new FastcgiFramer(), memory: 'none', summarise };
