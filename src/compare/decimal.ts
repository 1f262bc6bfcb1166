/** Numbers as the decimals that they are written as. */

/** A number that a double does not hold. `canonical` is the same for the same decimal, however written. */
export class Decimal {
  readonly text: string;
  readonly canonical: string;

  constructor(text: string) {
    this.text = text;
    this.canonical = canonicalDecimal(text);
  }

  toJSON(): string {
    return this.text;
  }
}

/** `-12.50e1` is `-125e0`: sign, significant digits, exponent of ten. */
function canonicalDecimal(text: string): string {
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text);
  if (match === null) return text;
  const fraction = match[3] ?? '';
  const all = (match[2]! + fraction).replace(/^0+/, '');
  const digits = all.replace(/0+$/, '');
  if (digits === '') return '0';
  return `${match[1]}${digits}e${BigInt(match[4] ?? 0) - BigInt(fraction.length) + BigInt(all.length - digits.length)}`;
}
