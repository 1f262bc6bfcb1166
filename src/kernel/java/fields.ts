/** Where objects of a class have their fields, by what a JVM keeps of the class. */
import { known, type ProcessMemory } from './memory.ts';
import type { VmStructs } from './vm-structs.ts';

/** Looked at, of one class. */
const MAX_FIELDS = 1_024;
const MAX_BYTES = 16_384;
/** Of a compressed number: the largest last byte, and how many it has at most. */
const LAST = 191;
const MAX_NUMBER_BYTES = 5;

/** In bytes, of the field that class `at` itself declares and whose name `isNamed`, by its index among the class' constants; undefined: it has none. */
export function fieldOf(memory: ProcessMemory, structs: VmStructs, at: number, isNamed: (symbol: number) => boolean): number | undefined {
  const stream = structs.offset('InstanceKlass._fieldinfo_stream');
  return stream === undefined ? inTable(memory, structs, at, isNamed) : inStream(memory, structs, memory.pointer(at + stream), isNamed);
}

/** Up to JDK 20: so many numbers of 16 bits a field. */
function inTable(memory: ProcessMemory, structs: VmStructs, at: number, isNamed: (symbol: number) => boolean): number | undefined {
  const bytes = known(structs.constant('FieldInfo::field_slots')) * 2;
  const count = memory.bytes(2, at + known(structs.offset('InstanceKlass._java_fields_count'))).readUInt16LE();
  const table = memory.pointer(at + known(structs.offset('InstanceKlass._fields'))) + known(structs.offset('Array<u2>._data'));
  const [nameAt, packedAt] = [known(structs.constant('FieldInfo::name_index_offset')) * 2, known(structs.constant('FieldInfo::low_packed_offset')) * 2];
  const tag = known(structs.constant('FIELDINFO_TAG_SIZE'));
  const fields = memory.bytes(Math.min(count, MAX_FIELDS) * bytes, table);
  for (let from = 0; from < fields.length; from += bytes) if (isNamed(fields.readUInt16LE(from + nameAt))) return fields.readUInt32LE(from + packedAt) >>> tag;
  return undefined;
}

/** Since: how many, how many the JVM adds, and of each its name, signature, offset, access, flags, and what these say that there is more. */
function inStream(memory: ProcessMemory, structs: VmStructs, array: number, isNamed: (symbol: number) => boolean): number | undefined {
  const length = memory.int(array + known(structs.offset('Array<int>._length')));
  const numbers = compressed(memory.bytes(Math.min(length, MAX_BYTES), array + known(structs.offset('Array<u1>._data'))));
  const next = (): number => numbers.next().value ?? 0;
  const bit = (flag: string): number => 1 << known(structs.constant(`FieldInfo::FieldFlags::_ff_${flag}`));
  const more = [bit('initialized'), bit('generic'), bit('contended')];
  const count = next();
  next();
  for (let looked = 0; looked < Math.min(count, MAX_FIELDS); looked += 1) {
    const [symbol, , offset, , flags] = [next(), next(), next(), next(), next()];
    for (const one of more) if ((flags & one) !== 0) next();
    if (isNamed(symbol)) return offset;
  }
  return undefined;
}

/** What a stream of UNSIGNED5 holds (unsigned5.hpp of OpenJDK): no byte of a number is 0, and only its last is less than 192. */
function* compressed(bytes: Buffer): Generator<number, undefined> {
  let number = 0;
  let index = 0;
  for (const byte of bytes) {
    number += (byte - 1) * 2 ** (6 * index);
    index += 1;
    if (byte > LAST && index < MAX_NUMBER_BYTES) continue;
    yield number;
    number = index = 0;
  }
  return undefined;
}
