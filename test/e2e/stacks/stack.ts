/**
 * A real stack under replay: one small shop, written once in each language with that language's own drivers. All of them answer
 * the same requests, and make the same deliberate changes when told to by `SHOP_CHANGE=yes`: order N is then changed by
 * `CHANGES[N % 10]`.
 */
import type { Asked } from '../services/client.ts';

/** What the changed build does differently with order N, by N % 10; `undefined`: nothing. */
export const CHANGES = [
  undefined, 'a field renamed', 'a query added', 'a query dropped', 'a parameter changed', 'a call reordered', 'a dependency called twice', 'a wrong status',
  undefined, undefined,
] as const;
export type Change = Exclude<(typeof CHANGES)[number], undefined>;

/** What a change must look like in the report of a session. */
export interface Signs {
  /** Summary of the added query or second call, of the dropped one, and paths of the changed parameter and field, and of the status. */
  readonly added: RegExp;
  readonly dropped: RegExp;
  readonly parameter: RegExp;
  readonly twice: RegExp;
  /** Body of the answer as paths name it. */
  readonly body: string;
}

export interface Stack {
  /** Where clients connect, on 127.0.0.1. */
  readonly port: number;
  /** The service's command line, environment included; it can be started again once it has ended. */
  readonly command: readonly string[];
  /** How many clients may ask at once, so that every tie is sure. */
  readonly clients: number;
  /** So long after it is ready it is asked nothing. */
  readonly settleMs?: number;
  /** Fewest calls of an order's session. */
  readonly calls: number;
  readonly signs: Signs;
  /** Whether it takes requests now. */
  ready(): Promise<boolean>;
  /** Ends everything that is not the service itself. */
  stopDependencies(): Promise<void>;
  /** What the service needs to run again is kept until here. */
  remove(): void;
}

const USERS = 20;
const JSON_BODY = { 'Content-Type': 'application/json' };

/** Logins with a user's secret; the token of each is then carried by that user's requests. */
export function logins(rid: (n: number) => string): Asked[] {
  return Array.from({ length: USERS }, (_, n) => ({ rid: rid(n), target: '/login', headers: JSON_BODY, body: Buffer.from(JSON.stringify({ name: `user ${n}`, secret: `secret of ${n}` })) }));
}

/** The n-th request after the logins: three in four read an order, one puts one in. */
export function request(n: number, rid: string, tokens: readonly string[]): Asked {
  const headers = { Authorization: `Bearer ${tokens[n % USERS]}` };
  if (n % 4 === 3) return { rid, target: '/orders', headers: { ...headers, ...JSON_BODY }, body: Buffer.from(JSON.stringify({ item: n % 50, quantity: 1 + (n % 7) })) };
  return { rid, target: `/orders/${n}`, headers };
}

/** The tables of the SQL databases: PostgreSQL and MariaDB take the same words. */
export const TABLES = `
create table users (id int primary key, name varchar(40) not null, secret varchar(80) not null, credit numeric(10,2) not null, rate double precision not null, since date not null);
create table items (id int primary key, name varchar(40) not null, price int not null, weight double precision not null);
create table placed (id serial primary key, person int not null, item int not null, quantity int not null);
insert into users values ${Array.from({ length: USERS }, (_, n) => `(${n}, 'user ${n}', 'secret of ${n}', ${n * 10}.5${n % 10}, ${n / 8}, '2024-02-${String(1 + n).padStart(2, '0')}')`).join(', ')};
insert into items values ${Array.from({ length: 50 }, (_, n) => `(${n}, 'item ${n}', ${100 + n * 3}, ${n * 1.25})`).join(', ')};
`;
