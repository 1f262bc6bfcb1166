/**
 * The three kinds of failure, told apart by class so that the edge (`src/cli/main.ts`) alone turns them into exit statuses.
 * Anything that is none of these is our bug: exit 70.
 */

/** The user's mistake: bad flag, no such process, a folder that is no recording. Exit 2. */
export class UserError extends Error {
  override readonly name = 'UserError';
}

/** The environment refused: no root, no BTF, disk full. Exit 3. `wayOut` says what to do about it. */
export class EnvironmentError extends Error {
  override readonly name = 'EnvironmentError';
  readonly wayOut: string | undefined;

  constructor(message: string, wayOut?: string) {
    super(wayOut === undefined ? message : `${message}; ${wayOut}`);
    this.wayOut = wayOut;
  }
}

/** A stored recording that can't be read where it should: names file, offset and what was found. Exit 2 where nothing of it is readable. */
export class CorruptError extends Error {
  override readonly name = 'CorruptError';
}

export const EXIT = { ok: 0, different: 1, user: 2, environment: 3, bug: 70 } as const;
