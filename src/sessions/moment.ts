/** Where in the recording the derivation is. */
export interface Moment {
  /** Number of the event at hand. */
  readonly seq: number;
  /** Its time, Unix µs. */
  readonly nowUs: number;
}
