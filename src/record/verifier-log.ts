/** A kernel program that was refused: the last lines for the eye, the whole log in a file for the bug report. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LoadError } from '../kernel/libbpf.ts';

const SHOWN_LINES = 3;

/** One line: what was refused, the verifier's last words, where the rest is. */
export function saveVerifierLog(error: LoadError): string {
  if (error.log.trim() === '') return error.message;
  const file = join(mkdtempSync(join(tmpdir(), 'koala-bpf-')), 'verifier.log');
  writeFileSync(file, error.log, { mode: 0o600 });
  const telling = error.log.split('\n').map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('processed ') && !line.startsWith('libbpf:') && !line.startsWith('--'));
  return `${error.message}; ${telling.slice(-SHOWN_LINES).join(' | ')} (whole log: ${file})`;
}
