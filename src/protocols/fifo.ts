/** Small numbers, first in first out: what each request on its way expects. Allocates only while it grows, never past its cap. */
export class Fifo {
  private ring = new Int32Array(8);
  private head = 0;
  private readonly maxLength: number;
  length = 0;

  /** `maxLength`: a power of two of at least 8. */
  constructor(maxLength: number) {
    this.maxLength = maxLength;
  }

  /** False, and nothing kept, when it is full. */
  push(value: number): boolean {
    if (this.length === this.ring.length && !this.grow()) return false;
    this.ring[(this.head + this.length++) & (this.ring.length - 1)] = value;
    return true;
  }

  /** The oldest value; 0 when empty. */
  get first(): number {
    return this.length === 0 ? 0 : this.ring[this.head]!;
  }

  set first(value: number) {
    if (this.length > 0) this.ring[this.head] = value;
  }

  shift(): number {
    const value = this.first;
    if (this.length > 0) {
      this.head = (this.head + 1) & (this.ring.length - 1);
      this.length--;
    }
    return value;
  }

  clear(): void {
    this.ring = new Int32Array(8);
    this.head = 0;
    this.length = 0;
  }

  private grow(): boolean {
    if (this.ring.length >= this.maxLength) return false;
    const grown = new Int32Array(this.ring.length * 2);
    for (let i = 0; i < this.length; i++) grown[i] = this.ring[(this.head + i) & (this.ring.length - 1)]!;
    this.ring = grown;
    this.head = 0;
    return true;
  }
}
