/** Numbers of a MySQL connection's prepared statements that were seen to be prepared; MariaDB's -1 is the last one. */
import { Known, type Memory } from './memory.ts';
import { COM, int32, OK } from './mysql-fields.ts';

/** In a packet: its length and number come first, then the command, then the statement. */
const COMMAND = 4, STATEMENT = 5;
const LAST = -1;

export class MysqlMemory implements Memory {
  readonly #statements = new Known<number>();

  hear(request: Uint8Array, response: Uint8Array): boolean {
    if (request.length <= COMMAND) return true;
    switch (request[COMMAND]) {
      case COM.prepare:
        if (response.length >= STATEMENT + 4 && response[COMMAND] === OK) for (const one of [int32(response, STATEMENT), LAST]) this.#statements.add(one);
        return true;
      case COM.execute: case COM.fetch: case COM.longData: case COM.bulkExecute:
        return request.length >= STATEMENT + 4 && this.#statements.has(int32(request, STATEMENT));
      case COM.closeStatement:
        if (request.length >= STATEMENT + 4) this.#statements.delete(int32(request, STATEMENT));
        return true;
      case COM.changeUser: case COM.resetConnection:
        this.#statements.clear();
        return true;
      default: return true;
    }
  }
}
