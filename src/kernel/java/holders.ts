/**
 * What a thread of java.net.http.HttpClient writes for. Its tasks go through threads that neither read nor write, so who has made them says
 * nothing; but the one that writes (HTTP/1) holds, step by step, the request, which was made by whoever sent it.
 */
import { Classes, headersOf, narrowPointers, type ClassWord } from './classes.ts';
import { flagsOf } from './flags.ts';
import { known, Unreadable, type ProcessMemory } from './memory.ts';
import type { VmStructs } from './vm-structs.ts';

const EXCHANGE = 'jdk/internal/net/http/Http1Exchange';
const FLAGS = new Set(['UseCompressedOops', 'UseCompressedClassPointers', 'UseCompactObjectHeaders']);

/** As struct java_heap of bpf/java.h has it; addresses and offsets in bytes. */
export interface Holder {
  readonly class: bigint;
  readonly classWord: ClassWord;
  /** undefined: they are plain. */
  readonly narrow: { readonly base: number; readonly shift: number } | undefined;
  readonly steps: readonly number[];
}

export class Holders {
  /** Up to this one classes were looked at. */
  #until = 0;

  /** 'none': it has not used HttpClient so far. 'unlike': not all is as it is known. */
  find(memory: ProcessMemory, structs: VmStructs): Holder | 'none' | 'unlike' {
    try {
      const classes = new Classes(memory, structs);
      const { object } = classes;
      const newest = classes.newest(object);
      const task = classes.derived(object, `${EXCHANGE}$Http1Publisher$WriteTask`, this.#until);
      this.#until = newest;
      if (task === undefined) return 'none';
      const publisher = known(classes.derived(object, `${EXCHANGE}$Http1Publisher`));
      const exchange = known(classes.derived(known(classes.derived(object, 'jdk/internal/net/http/ExchangeImpl')), EXCHANGE));
      const flags = flagsOf(memory, structs, FLAGS);
      const headers = headersOf(flags);
      return {
        class: classes.said(task, headers), classWord: classes.word(headers), narrow: narrowPointers(memory, structs, flags),
        steps: [known(classes.field(task, 'this$1')), known(classes.field(publisher, 'this$0')), known(classes.field(exchange, 'request'))],
      };
    } catch (error) {
      if (error instanceof Unreadable) return 'unlike';
      throw error;
    }
  }
}
