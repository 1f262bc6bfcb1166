/**
 * Destinations that could not be connected to when recording can't be now: firewall rules in the SUT's own namespace refuse,
 * drop or reject them while the session is played, and count who tried.
 */
import { spawn } from 'node:child_process';
import { formatAddress, parseAddress } from '../bytes/address.ts';
import { EnvironmentError } from '../errors.ts';
import { SYN_SENT, type TcpSocket } from '../kernel/tcp-table.ts';
import type { Fault, Met } from './faults.ts';

/** In a namespace of the SUT's own. */
export const FAULT_CHAIN = 'KOALA-FAULT';
/** A busy host may hold the lock of its rules for long. */
const COMMAND_MS = 20_000;
const LOOK_EVERY_MS = 10;
const FAMILIES = ['v4', 'v6'] as const;
const RESTORE = { v4: 'iptables-restore', v6: 'ip6tables-restore' } as const;

const familyOf = ({ destination }: Fault): 'v4' | 'v6' => (destination.startsWith('[') ? 'v6' : 'v4');

const TARGETS = {
  v4: { refused: 'REJECT --reject-with tcp-reset', timeout: 'DROP', unreachable: 'REJECT --reject-with icmp-host-unreachable' },
  v6: { refused: 'REJECT --reject-with tcp-reset', timeout: 'DROP', unreachable: 'REJECT --reject-with icmp6-addr-unreachable' },
} as const;

const cannot = (command: string, why: string): EnvironmentError =>
  new EnvironmentError(`Cannot make connects fail as recorded: ${command}: ${why}`, 'try again, or leave out the sessions whose connects failed');

function run(command: string, args: readonly string[], input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], timeout: COMMAND_MS });
    let said = '';
    child.stdout.on('data', (text: Buffer) => { said += text.toString(); });
    child.stderr.on('data', (text: Buffer) => { said += text.toString(); });
    child.on('error', (error) => { reject(cannot(command, error.message)); });
    child.on('close', (status, signal) => {
      if (status === 0) resolve(said);
      else reject(cannot(command, said.trim() || (signal === null ? `status ${status}` : `no answer within ${COMMAND_MS / 1000} s: another program may hold the firewall's lock`)));
    });
    child.stdin.on('error', () => { /* it did not read what it does not need */ });
    child.stdin.end(input);
  });
}

/** The rules that make connects fail, while one session is played. All of it must run in a thread that is in the SUT's namespace: what it starts is there too. */
export class FaultRules {
  readonly #faults: readonly Fault[];
  readonly #chain: string;
  readonly #sockets: () => readonly TcpSocket[];
  /** Those whose rules are there. */
  #imposed: readonly Fault[] = [];
  readonly #refused = new Map<Fault, number>();
  /** Packets that the rules counted when they were last looked at. */
  readonly #counted = new Map<Fault, number>();
  /** Of attempts that get no answer: ports, as each sends several packets. True: it is given up. */
  readonly #waiting = new Map<Fault, Map<number, boolean>>();
  #timer: NodeJS.Timeout | undefined;
  #busy: Promise<unknown> = Promise.resolve();

  /** `chain` is there, in both tables of both families. `sockets`: those of the SUT's network. */
  constructor(faults: readonly Fault[], chain: string, sockets: () => readonly TcpSocket[]) {
    this.#faults = faults;
    this.#chain = chain;
    this.#sockets = sockets;
  }

  async impose(): Promise<void> {
    await this.#impose(this.#faults);
    if (this.#faults.some(({ kind }) => kind === 'timeout')) this.#timer = setInterval(() => { this.#look(); }, LOOK_EVERY_MS);
  }

  /** Attempts so far. */
  async met(): Promise<readonly Met[]> {
    await this.#alone(() => this.#count());
    return this.#faults.map((fault) => ({ fault, attempts: fault.kind === 'timeout' ? this.#waiting.get(fault)?.size ?? 0 : this.#refused.get(fault) ?? 0 }));
  }

  /** Takes the rules away; how often each was met. */
  async lift(): Promise<readonly Met[]> {
    clearInterval(this.#timer);
    const met = await this.met();
    await this.#alone(() => this.#impose([]));
    return met;
  }

  #alone<T>(run: () => Promise<T>): Promise<T> {
    const done = this.#busy.then(run);
    this.#busy = done.catch(() => undefined);
    return done;
  }

  /** A connect that gets no answer is seen while it waits. Once the last one is given up that was recorded so, the next is answered. */
  #look(): void {
    const syns = this.#sockets().filter(({ state }) => state === SYN_SENT);
    for (const fault of this.#faults) {
      if (fault.kind !== 'timeout') continue;
      const ports = this.#waiting.get(fault) ?? new Map<number, boolean>();
      this.#waiting.set(fault, ports);
      const now = new Set(syns.filter(({ remote }) => formatAddress(remote) === fault.destination).map(({ local }) => local.port));
      if (!this.#imposed.includes(fault)) continue;
      for (const port of ports.keys()) ports.set(port, !now.has(port));
      for (const port of now) ports.set(port, false);
      const over = [...ports.values()].filter((isOver) => isOver).length;
      if (fault.reached && over >= fault.indexes.length) {
        const rest = this.#imposed.filter((other) => other !== fault);
        this.#imposed = rest;
        // What can't be done now is tried, and told, when all are lifted.
        this.#alone(async () => { await this.#count(); await this.#impose(rest); }).catch(() => undefined);
      }
    }
  }

  /**
   * In `nat`: what fails is not redirected; of a refusal, so many attempts as were recorded, each being one packet. In `filter`: whatever
   * was not redirected fails. Packets of connections that we answer are not for this destination there any more.
   */
  async #impose(faults: readonly Fault[]): Promise<void> {
    for (const family of FAMILIES) {
      if (!this.#faults.some((fault) => familyOf(fault) === family)) continue;
      const mine = faults.filter((fault) => familyOf(fault) === family);
      const rules = (target: (fault: Fault) => string): string => mine.map((fault) => {
        const { host, port } = parseAddress(fault.destination) ?? { host: '', port: 0 };
        return `-A ${this.#chain} -p tcp -d ${host} --dport ${port} ${target(fault)}\n`;
      }).join('');
      const some = ({ reached, kind, indexes }: Fault): string => (reached && kind !== 'timeout' ? `-m limit --limit 1/day --limit-burst ${indexes.length} ` : '');
      await run(RESTORE[family], ['-w', '--noflush'], `*nat\n-F ${this.#chain}\n${
        rules((fault) => `${some(fault)}-j ACCEPT`)}COMMIT\n*filter\n-F ${this.#chain}\n${rules(({ kind }) => `-j ${TARGETS[family][kind]}`)}COMMIT\n`);
    }
    this.#imposed = faults;
    this.#counted.clear();
  }

  async #count(): Promise<void> {
    for (const family of FAMILIES) {
      const mine = this.#imposed.filter((fault) => familyOf(fault) === family);
      if (mine.length === 0) continue;
      const lines = (await run(family === 'v4' ? 'iptables' : 'ip6tables', ['-w', '-t', 'filter', '-vnxL', this.#chain], '')).split('\n').slice(2);
      mine.forEach((fault, at) => {
        const packets = Number(lines[at]?.trim().split(/\s+/)[0]) || 0;
        this.#refused.set(fault, (this.#refused.get(fault) ?? 0) + packets - (this.#counted.get(fault) ?? 0));
        this.#counted.set(fault, packets);
      });
    }
  }
}
