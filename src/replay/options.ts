/** What a replay is given, and what it tells of itself. */
import type { Address } from '../bytes/address.ts';
import type { NoiseRules } from '../compare/index.ts';
import type { Session } from '../sessions/session.ts';
import type { Launch } from '../store/header.ts';
import type { Plain } from './plain.ts';
import type { ProbesAhead } from './probes.ts';
import type { Replayed, ReplaySummary } from './replayed.ts';
import type { Running } from './running.ts';
import type { WorldOptions } from './world.ts';

export interface Loaded {
  readonly session: Session;
  /** The file it came from, where it came from one. */
  readonly file?: string;
  /** What else its recording holds; shared by all its sessions. */
  readonly background?: Plain;
}

export interface ReplayOptions extends WorldOptions {
  /** Starts the SUT; empty when it runs already. */
  readonly command: readonly string[];
  /** What the command gets in place of our own environment, and the folder it begins in, where that is not ours. */
  readonly launch?: Pick<Launch, 'environment'> & Partial<Pick<Launch, 'folder'>>;
  readonly running?: Running;
  /** What answers the SUT before it listens, first of all. */
  readonly startup?: readonly Plain[];
  /** The SUT's clock is as it was when each session was recorded. */
  readonly recordedClock?: boolean;
  /** It may be redirected although others are served by it. */
  readonly servesOthers?: boolean;
  /** Where the SUT listens; by default where each session's request had come in. */
  readonly sut?: Address;
  readonly startupMs: number;
  readonly allowIncomplete: boolean;
  /** Sessions played at a time; by default the number of cores, or one where there are few sessions. One, where the kernel can't be asked whose calls are whose. */
  readonly concurrency?: number;
  /** So many of the first sessions are played before all others. */
  readonly warmUp?: number;
  /** What may differ, as the user declared it. */
  readonly noise?: NoiseRules;
  /** Which sessions are played a second time, to tell values that are others each time; default none. */
  readonly twice?: 'never' | 'different' | 'always';
  /** Told of each session that was played twice. */
  readonly onTwice?: (first: Replayed, second: Replayed) => void;
  /** What the process may have kept between sessions counts as a difference. */
  readonly strict?: boolean;
  /** Say which recorded calls each one was chosen among. */
  readonly explain?: boolean;
  /** The run's own by default; given by who could have their loading begin sooner. Closed by whoever gave them, should the run not take them. */
  readonly probes?: ProbesAhead;
  /** Told, before the service begins or is redirected, of a process that it will descend from, or of one of its own. */
  readonly beforeStart?: (pid: number) => void;
  /** Told at the end how it was played. */
  readonly facts?: (facts: RunFacts) => void;
  /** Ends the run; what was judged until then has been yielded. */
  readonly signal: AbortSignal;
  /** Something a person should know; not part of the result. */
  note(text: string): void;
}

export type RunFacts = Pick<ReplaySummary, 'concurrency' | 'tracker' | 'serialised' | 'again' | 'untied' | 'background'>;
