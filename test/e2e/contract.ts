/**
 * What `koala-bpf export --format json` prints, as its documentation promises it to scripts: written down here a second
 * time on purpose, so that the tests read the contract and not the program's own types.
 */
export type ChunkJson =
  | { readonly atUs: number; readonly tid: number; readonly text: string }
  | { readonly atUs: number; readonly tid: number; readonly base64: string }
  | { readonly atUs: number; readonly gap: number; readonly cause: string };

export interface TalkJson {
  readonly connection: { readonly id: string; readonly local: string; readonly remote: string; readonly protocol: string };
  readonly request: readonly ChunkJson[];
  readonly response: readonly ChunkJson[];
}

export interface OutboundJson extends TalkJson {
  readonly attribution: string;
  readonly certainty: 'proven' | 'likely';
  readonly afterResponse?: true;
}

export interface SessionJson {
  readonly format: 'koala-bpf/session@1';
  readonly id: string;
  readonly startedAt: string;
  readonly durationMs: number;
  readonly process: { readonly tgid: number; readonly command: string };
  readonly inbound: TalkJson;
  readonly outbound: readonly OutboundJson[];
  readonly ties: { readonly proven: number; readonly likely: number; readonly unknown: number };
  readonly prologues: readonly { readonly connection: string; readonly destination: string; readonly chunks: readonly ChunkJson[] }[];
  readonly told?: readonly { readonly command: string; readonly tid: number; readonly text?: string; readonly base64?: string }[];
  readonly certificate: {
    readonly state: 'complete' | 'incomplete' | 'open';
    readonly lost: readonly object[];
    readonly unseen: readonly { readonly kind: string; readonly count: number; readonly detail?: string }[];
  };
}

export interface AmbientJson extends TalkJson {
  readonly ambient: true;
  readonly tgid: number;
}

/** A line of `koala-bpf connections --json`. */
export interface ConnectionJson {
  readonly id: string;
  readonly role: 'inbound' | 'outbound';
  readonly local: string;
  readonly remote: string;
  readonly ingress: StreamJson;
  readonly egress: StreamJson;
  readonly sessions: number;
}

export interface StreamJson {
  readonly from: number;
  readonly bytes: number;
  readonly sha256: string;
  readonly gaps: readonly object[];
}

/** The bytes of a talk's side; a gap leaves nothing. */
export function bytesOf(chunks: readonly ChunkJson[]): Buffer {
  return Buffer.concat(chunks.map((chunk) => {
    if ('text' in chunk) return Buffer.from(chunk.text, 'utf8');
    return 'base64' in chunk ? Buffer.from(chunk.base64, 'base64') : Buffer.alloc(0);
  }));
}
