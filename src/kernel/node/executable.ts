/** What there is to know of a Node program: V8's types of objects, by the symbols that it has for debuggers. */
import { ElfFile, EM_X86_64 } from '../elf.ts';
import { V8_OFFSETS, type V8Offsets } from './offsets.ts';

/** As bpf/node.h has them. */
const TYPES = {
  map: 'type_Map__MAP_TYPE',
  object: 'type_JSObject__JS_OBJECT_TYPE',
  api_object: 'APIObjectType',
  bound_function: 'type_JSBoundFunction__JS_BOUND_FUNCTION_TYPE',
  first_function: 'type_JSFunction__JS_FUNCTION_TYPE',
  promise: 'type_JSPromise__JS_PROMISE_TYPE',
  reaction: 'type_PromiseReaction__PROMISE_REACTION_TYPE',
  capability: 'type_PromiseCapability__PROMISE_CAPABILITY_TYPE',
  async_function: 'type_JSAsyncFunctionObject__JS_ASYNC_FUNCTION_OBJECT_TYPE',
  async_generator: 'type_JSAsyncGeneratorObject__JS_ASYNC_GENERATOR_OBJECT_TYPE',
  async_request: 'type_AsyncGeneratorRequest__ASYNC_GENERATOR_REQUEST_TYPE',
  first_context: 'FirstContextType',
  last_context: 'LastContextType',
  fixed_array: 'type_FixedArray__FIXED_ARRAY_TYPE',
  property_array: 'type_PropertyArray__PROPERTY_ARRAY_TYPE',
  array: 'type_JSArray__JS_ARRAY_TYPE',
  first_collection: 'type_JSMap__JS_MAP_TYPE',
  last_collection: 'type_JSWeakSet__JS_WEAK_SET_TYPE',
  primitive_wrapper: 'type_JSPrimitiveWrapper__JS_PRIMITIVE_WRAPPER_TYPE',
} as const;
/** Since V8 14: a context's variables that change. */
const CONTEXT_CELL = 'type_ContextCell__CONTEXT_CELL_TYPE';
export type NodeType = keyof typeof TYPES;

const CURRENT_ISOLATE = '_ZN2v88internal18g_current_isolate_E';

export interface NodeFile {
  readonly types: Readonly<Record<NodeType, number>>;
  /** 0: there is none. */
  readonly contextCell: number;
  readonly offsets: V8Offsets;
  /** Of the pointer to a thread's isolate, from its fsbase. */
  readonly isolate: number;
}

/** The version of a V8 that is not known. */
export interface UnknownV8 {
  readonly version: string;
}

/** Undefined: no Node, or one without what is looked for. */
export function readNodeFile(path: string): NodeFile | UnknownV8 | undefined {
  return ElfFile.read(path, (elf) => {
    if (elf.machine !== EM_X86_64 || elf.tls === undefined) return undefined;
    const [major, minor] = ['major', 'minor'].map((part) => int32(elf, `_ZN2v88internal7Version6${part}_E`));
    if (major === undefined || minor === undefined) return undefined;
    const version = `${major}.${minor}`;
    const offsets = V8_OFFSETS.get(version);
    if (offsets === undefined) return { version };
    const isolate = elf.exported(CURRENT_ISOLATE) ?? elf.symbol(CURRENT_ISOLATE);
    if (isolate === undefined) return undefined;
    const found = Object.entries(TYPES).map(([name, symbol]) => [name, int32(elf, `v8dbg_${symbol}`)] as const);
    if (found.some(([, type]) => type === undefined)) return undefined;
    const { memorySize, align } = elf.tls;
    const types = Object.fromEntries(found) as Record<NodeType, number>;
    return { types, contextCell: int32(elf, `v8dbg_${CONTEXT_CELL}`) ?? 0, offsets, isolate: isolate - Math.ceil(memorySize / align) * align };
  });
}

/** What an exported variable begins with. */
function int32(elf: ElfFile, name: string): number | undefined {
  const address = elf.exported(name);
  const offset = address === undefined ? undefined : elf.offsetOf(address);
  return offset === undefined ? undefined : elf.bytes(offset, 4).readInt32LE();
}
