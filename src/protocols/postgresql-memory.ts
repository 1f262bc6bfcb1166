/** Statements and portals of a PostgreSQL connection that were seen to be made: what Bind, Describe and Execute refer to by name, and SQL's own EXECUTE and FETCH. */
import { Known, type Memory } from './memory.ts';
import { Fields, readMessages, type Message } from './postgresql-messages.ts';

const STATEMENT = 0x53;
const NAMED = /^\s*(PREPARE|EXECUTE|DECLARE|FETCH|MOVE)\s+(?:(?:(?:ABSOLUTE|RELATIVE|FORWARD|BACKWARD)\s+)?(?:ALL|NEXT|PRIOR|FIRST|LAST|[+-]?\d+)?\s*(?:(?:FROM|IN)\s+)?)?("[^"]+"|\w+)/i;
/** So much of a statement is looked at. */
const maxLookChars = 512;

export class PostgresqlMemory implements Memory {
  readonly #statements = new Known<string>();
  readonly #portals = new Known<string>();

  hear(request: Uint8Array): boolean {
    let alone = true;
    for (const message of readMessages(request, 'client')) if (message.missing > 0 || !this.#hear(message)) alone = false;
    return alone;
  }

  #hear({ type, body }: Message): boolean {
    const fields = new Fields(body);
    switch (type) {
      case 'Q': return this.#sql(fields.text());
      case 'P': {
        this.#statements.add(fields.text());
        return this.#sql(fields.text());
      }
      case 'B': {
        this.#portals.add(fields.text());
        return this.#statements.has(fields.text());
      }
      case 'D': return (fields.int(1) === STATEMENT ? this.#statements : this.#portals).has(fields.text());
      case 'E': return this.#portals.has(fields.text());
      case 'rest': return false;
      default: return true;
    }
  }

  #sql(text: string): boolean {
    const [, verb, name] = NAMED.exec(text.slice(0, maxLookChars)) ?? [];
    if (verb === undefined || name === undefined) return true;
    const known = /^(?:PREPARE|EXECUTE)$/i.test(verb) ? this.#statements : this.#portals;
    if (!/^(?:PREPARE|DECLARE)$/i.test(verb)) return known.has(plain(name));
    known.add(plain(name));
    return true;
  }
}

const plain = (name: string): string => (name.startsWith('"') ? name.slice(1, -1) : name.toLowerCase());
