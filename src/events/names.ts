/** The numbers of bpf/event.h and recording.proto as the names that events carry, and back. */
import type { Cause, CloseEvent, Direction, GoroutineRole, Learnt, OpenEvent, ProcessEvent, Role } from './event.ts';
import { KERNEL_CAUSES } from './layout.ts';

/** User space's own causes; numbers as in recording.proto. */
const OWN_CAUSES: readonly (readonly [number, Cause])[] = [[64, 'corrupt'], [65, 'disk-full']];

const causes = new Map<number, Cause>([...KERNEL_CAUSES.entries(), ...OWN_CAUSES]);
const causeNumbers = new Map<Cause, number>([...causes].map(([number, name]) => [name, number]));

const ROLES: readonly Role[] = ['unknown', 'inbound', 'outbound'];
const LEARNT: readonly Learnt[] = ['seen', 'accept', 'connect'];
const PHASES: readonly (CloseEvent['phase'] | undefined)[] = [undefined, 'local-fin', 'remote-fin', 'done', 'failed', 'stands'];
const WHATS: readonly (ProcessEvent['what'] | undefined)[] = [
  undefined, 'fork', 'exec', 'exit', 'thread', 'thread-exit', 'seen',
];
const GOROUTINE_ROLES: readonly GoroutineRole[] = ['other', 'serves', 'reads-ahead', 'writes-for', 'reads-for', 'unknown', 'task'];
const FAMILIES: Readonly<Record<number, OpenEvent['family']>> = { 1: 'unix', 2: 'ipv4', 10: 'ipv6' };

/** A number that this version does not know is `unknown`. */
export const causeName = (number: number): Cause => causes.get(number) ?? 'unknown';
export const causeNumber = (name: Cause): number => causeNumbers.get(name) ?? 13;
export const directionName = (number: number): Direction => (number === 2 ? 'egress' : 'ingress');
export const directionNumber = (name: Direction): number => (name === 'egress' ? 2 : 1);
export const roleName = (number: number): Role => ROLES[number] ?? 'unknown';
export const roleNumber = (name: Role): number => ROLES.indexOf(name);
export const learntName = (number: number): Learnt => LEARNT[number] ?? 'seen';
export const learntNumber = (name: Learnt): number => LEARNT.indexOf(name);
export const phaseName = (number: number): CloseEvent['phase'] => PHASES[number] ?? 'done';
export const phaseNumber = (name: CloseEvent['phase']): number => PHASES.indexOf(name);
export const whatName = (number: number): ProcessEvent['what'] => WHATS[number] ?? 'seen';
export const whatNumber = (name: ProcessEvent['what']): number => WHATS.indexOf(name);
export const familyName = (number: number): OpenEvent['family'] => FAMILIES[number] ?? 'ipv4';
export const familyNumber = (name: OpenEvent['family']): number => (name === 'unix' ? 1 : name === 'ipv6' ? 10 : 2);
export const goroutineRoleName = (number: number): GoroutineRole => GOROUTINE_ROLES[number] ?? 'unknown';
export const goroutineRoleNumber = (name: GoroutineRole): number => GOROUTINE_ROLES.indexOf(name);
