/** Written by scripts/python-offsets, from the headers of each release: where CPython keeps what bpf/python.h reads, in bytes. Do not edit. */

export interface PythonOffsets {
  /** In _PyRuntime: pointer to the first interpreter's state. */
  readonly interpreter: number;
  /** In that: pointer to the state of the thread made last. */
  readonly firstThread: number;
  /** In a thread's state. */
  readonly next: number;
  readonly threadId: number;
  readonly context: number;
}

/** By the second number of the release: the third does not change them. */
export const PYTHON_OFFSETS: ReadonlyMap<number, PythonOffsets> = new Map([
  [9, { interpreter: 32, firstThread: 8, next: 8, threadId: 176, context: 240 }],
  [10, { interpreter: 32, firstThread: 8, next: 8, threadId: 176, context: 240 }],
  [11, { interpreter: 40, firstThread: 16, next: 8, threadId: 152, context: 224 }],
  [12, { interpreter: 40, firstThread: 72, next: 8, threadId: 136, context: 208 }],
  [13, { interpreter: 632, firstThread: 7344, next: 8, threadId: 152, context: 208 }],
]);
