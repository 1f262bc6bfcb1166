/** Where objects of a class have their fields, by what a JVM keeps of the class. */
import { known } from './classes.ts';
import { Unreadable, type ProcessMemory } from './memory.ts';
import type { VmStructs } from './vm-structs.ts';

const MAX_FIELDS = 1_024;
const MAX_STREAM_BYTES = 16_384;
const MAX_NAME_BYTES = 256;
const WORD_BYTES = 8;
/** Since JDK 21, fieldInfo.hpp of OpenJDK: kinds of fields of which more is said. */
const HAS_VALUE = 1;
const HAS_SIGNATURE = 4;
const HAS_GROUP = 16;

/** In bytes, of the field of that name that class `of` itself adds. Throws Unreadable: it has none, or that is not known. */
export function fieldIn(memory: ProcessMemory, structs: VmStructs, of: number, name: string): number {
  const pool = memory.pointer(of + known(structs.offset('InstanceKlass._constants')));
  const isNamed = (index: number): boolean => {
    const symbol = memory.pointer(pool + known(structs.size('ConstantPool')) + index * WORD_BYTES);
    const length = memory.bytes(2, symbol + known(structs.offset('Symbol._length'))).readUInt16LE();
    return length <= MAX_NAME_BYTES && memory.bytes(length, symbol + known(structs.offset('Symbol._body[0]'))).toString('latin1') === name;
  };
  const streamed = structs.offset('InstanceKlass._fieldinfo_stream');
  const found = streamed === undefined ? inTable(memory, structs, of, isNamed) : inStream(bytesAt(memory, structs, memory.pointer(of + streamed)), isNamed);
  if (found === undefined) throw new Unreadable(`no field ${name}`);
  return found;
}

function bytesAt(memory: ProcessMemory, structs: VmStructs, array: number): Buffer {
  const length = memory.int(array + known(structs.offset('Array<int>._length')));
  return memory.upTo(Math.min(length, MAX_STREAM_BYTES), array + known(structs.offset('Array<u1>._data')));
}

/** Up to JDK 20: so many numbers of 16 bits a field. */
function inTable(memory: ProcessMemory, structs: VmStructs, of: number, isNamed: (index: number) => boolean): number | undefined {
  const slots = known(structs.constant('FieldInfo::field_slots'));
  const count = memory.bytes(2, of + known(structs.offset('InstanceKlass._java_fields_count'))).readUInt16LE();
  const table = memory.pointer(of + known(structs.offset('InstanceKlass._fields'))) + known(structs.offset('Array<u2>._data'));
  const [nameAt, packedAt] = [known(structs.constant('FieldInfo::name_index_offset')), known(structs.constant('FieldInfo::low_packed_offset'))];
  const fields = memory.bytes(Math.min(count, MAX_FIELDS) * slots * 2, table);
  for (let at = 0; at < fields.length; at += slots * 2) {
    if (isNamed(fields.readUInt16LE(at + nameAt * 2))) return fields.readUInt32LE(at + packedAt * 2) >>> known(structs.constant('FIELDINFO_TAG_SIZE'));
  }
  return undefined;
}

function inStream(stream: Buffer, isNamed: (index: number) => boolean): number | undefined {
  const numbers = numbersIn(stream);
  const next = (): number => numbers.next().value ?? 0;
  const count = Math.min(next(), MAX_FIELDS);
  next(); // those that the JVM itself adds
  for (let field = 0; field < count; field += 1) {
    const [name, , offset, , kind] = [next(), next(), next(), next(), next()];
    if (isNamed(name)) return offset;
    for (const more of [HAS_VALUE, HAS_SIGNATURE, HAS_GROUP]) if ((kind & more) !== 0) next();
  }
  return undefined;
}

/** unsigned5.hpp of OpenJDK: up to five bytes a number, the lowest first, none of them 0; those from 192 on are followed by another one. */
function* numbersIn(stream: Buffer): Generator<number, undefined> {
  for (let at = 0; at < stream.length;) {
    let number = 0;
    for (let index = 0; index < 5; index += 1) {
      const byte = stream[at++] ?? 1;
      number += (byte - 1) * 64 ** index;
      if (byte < 192) break;
    }
    yield number;
  }
  return undefined;
}
