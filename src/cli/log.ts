/** The program's log, for machines and bug reports; what people should know goes to stderr in plain words instead. */
import { once } from 'node:events';
import { chown } from 'node:fs';
import { basename, dirname } from 'node:path';
import pino from 'pino';
import type { Logger } from 'pino';
import { createStream } from 'rotating-file-stream';
import { EnvironmentError } from '../errors.ts';
import { invoker } from '../kernel/invoker.ts';
import type { LogLevel, LogSettings } from './environment.ts';

export type { Logger } from 'pino';

export interface Log {
  readonly logger: Logger;
  readonly level: LogLevel;
  /** Writes out what is buffered. May be called twice. */
  close(): Promise<void>;
}

const two = (value: number): string => String(value).padStart(2, '0');

/** `<file>.YYYYMMDDHHMM` of the hour that ended, local time, as koala names them; the file at hand has the name as given. */
export function rotatedName(file: string, time: Date | undefined): string {
  if (time === undefined) return file;
  return `${file}.${time.getFullYear()}${two(time.getMonth() + 1)}${two(time.getDate())}${two(time.getHours())}${two(time.getMinutes())}`;
}

/** Opens the log. Without a file nothing is logged. Throws EnvironmentError when the file can't be written. */
export async function openLog(settings: LogSettings): Promise<Log> {
  const { file, level } = settings;
  const options: pino.LoggerOptions = {
    level: level.toLowerCase(),
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label.toUpperCase() }) },
    base: { pid: process.pid },
  };
  if (file === undefined) return { logger: pino({ ...options, level: 'silent' }), level, close: () => Promise.resolve() };
  if (file === 'STDOUT' || file === 'STDERR') {
    const logger = pino(options, pino.destination({ fd: file === 'STDOUT' ? 1 : 2, sync: true }));
    return { logger, level, close: () => Promise.resolve() };
  }
  const name = basename(file);
  const stream = createStream((time) => rotatedName(name, typeof time === 'number' ? new Date(time) : time ?? undefined), {
    path: dirname(file), interval: '1h', intervalBoundary: true, initialRotation: true, mode: 0o600, omitExtension: true,
  });
  const owner = invoker();
  // Also of each new file: who called sudo reads it, and logs to it without sudo.
  if (owner !== undefined) stream.on('open', (path: string) => { chown(path, owner.uid, owner.gid, () => undefined); });
  try {
    await once(stream, 'open');
  } catch (error) {
    throw new EnvironmentError(`Cannot write the log ${file}: ${(error as Error).message}`, 'set KOALA_LOG_FILE to a path that this user may write');
  }
  // A log that can't be written any more must not end a recording.
  stream.on('error', (error) => process.emitWarning(`the log ${file} can't be written any more: ${error.message}`));
  let closed = false;
  return {
    logger: pino(options, stream),
    level,
    async close() {
      if (closed) return;
      closed = true;
      stream.end();
      await once(stream, 'finish');
    },
  };
}
