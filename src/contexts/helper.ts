/**
 * A virtual thread that got its name after its request was read: the request is the one that the thread which gave the name
 * had read last, and had not acted on. A service that can speak only once a request is parsed (nginx's Lua, PHP) does it so.
 */
import type { Evidence } from './evidence.ts';

export const helper: Evidence = {
  attribution: 'helper',
  find(context, inLoop) {
    const { reading } = context;
    return !context.virtual || !context.namedLate || inLoop || reading === undefined || reading.gone ? undefined : reading;
  },
  proves: () => false,
};
