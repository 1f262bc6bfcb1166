/** What was recorded of prepared statements at one destination. */
import { parametersIn } from '../../protocols/sql-parameters.ts';
import type { Judge } from '../calls.ts';
import type { Catalogue, Prepared } from './statements.ts';

export class Prepareds implements Catalogue {
  readonly #bySql: ReadonlyMap<string, Prepared>;
  readonly #judge: Judge;
  readonly #threshold: number;

  constructor(prepared: readonly Prepared[], judge: Judge, threshold: number) {
    this.#bySql = new Map(prepared.map((one) => [one.sql, one]));
    this.#judge = judge;
    this.#threshold = threshold;
  }

  find(sql: string): Prepared | undefined {
    const known = this.#bySql.get(sql);
    if (known !== undefined) return known;
    const parameters = parametersIn(sql);
    let best: { readonly one: Prepared; readonly score: number } | undefined;
    for (const one of this.#bySql.values()) {
      if (parametersIn(one.sql) !== parameters) continue;
      const score = this.#judge.similarity(Buffer.from(one.sql), Buffer.from(sql));
      if (score >= this.#threshold && (best === undefined || score > best.score)) best = { one, score };
    }
    return best?.one;
  }
}
