/** The flags of `replay` that say which service is replayed against: one that is started, or one that runs already. */
import type { Argv } from 'yargs';
import { parseAddress, type Address } from '../bytes/address.ts';
import { UserError } from '../errors.ts';
import { commandFiles, mayExecute } from '../kernel/command-files.ts';
import { checkTargets } from '../record/targets.ts';
import type { ReplayOptions } from '../replay/options.ts';

export interface TargetFlags {
  sut: string | undefined;
  pid: string | undefined;
  cgroup: string | undefined;
  yes: boolean;
  clock: 'now' | 'recorded';
  '--': (string | number)[] | undefined;
}

export const withTarget = <T>(yargs: Argv<T>): Argv<T & TargetFlags> => yargs
  .option('sut', { type: 'string', requiresArg: true, describe: 'HOST:PORT at which the service will listen; by default where it did' })
  .option('pid', { type: 'string', requiresArg: true, describe: 'the service runs already: this process and its descendants' })
  .option('cgroup', { type: 'string', requiresArg: true, describe: 'the service runs already: whatever is in this cgroup' })
  .option('clock', { choices: ['now', 'recorded'] as const, default: 'now' as const, describe: 'what time the service believes it is: now, or when each session was recorded (libfaketime)' })
  .option('yes', { type: 'boolean', default: false, describe: 'also when the service that runs already serves others' }) as unknown as Argv<T & TargetFlags>;

function address(text: string): Address {
  const named = text.replace(/^localhost:/, '127.0.0.1:');
  const found = parseAddress(named.startsWith(':') ? `127.0.0.1${named}` : named);
  if (found === undefined || found.port === 0) throw new UserError(`--sut ${text}: expected HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080 (HOST an address)`);
  return found;
}

/** The user's mistake is said before anything is set up. */
function checkExecutable(name: string): void {
  const found = commandFiles(name).some(mayExecute);
  if (!found) throw new UserError(`Cannot start ${name}: there is no such executable command`);
}

/** `recorded`: the command, where that is the recorded one's. Throws UserError for what can't be meant. */
export function targetOf(flags: TargetFlags, recorded?: readonly string[]): Pick<ReplayOptions, 'command' | 'recordedClock' | 'running' | 'servesOthers' | 'sut'> {
  const command = recorded ?? (flags['--'] ?? []).map(String);
  const sut = flags.sut === undefined ? {} : { sut: address(flags.sut) };
  const [executable] = command;
  const given = [flags.pid, flags.cgroup, executable].filter((one) => one !== undefined);
  if (given.length > 1) throw new UserError('replay takes one of --pid N, --cgroup PATH and -- CMD…: is the service to be started, or does it run already?');
  if (executable !== undefined) {
    // Where the recorded service found its own is for its PATH to say.
    if (recorded === undefined) checkExecutable(executable);
    return { command, recordedClock: flags.clock === 'recorded', ...sut };
  }
  if (flags.pid === undefined && flags.cgroup === undefined) {
    throw new UserError('replay needs the command that starts the service: koala-bpf replay DIR -- CMD… (or one that runs already: --pid N, --cgroup PATH)');
  }
  if (flags.clock === 'recorded') throw new UserError('--clock recorded is for a service that replay starts (-- CMD): the clock of one that runs already can\'t be changed');
  const { pids: [pid], cgroups: [cgroup] } = checkTargets({
    ...(flags.pid === undefined ? {} : { pid: [flags.pid] }), ...(flags.cgroup === undefined ? {} : { cgroup: [flags.cgroup] }),
  });
  const running = pid !== undefined ? { running: { pid } } : cgroup !== undefined ? { running: { cgroup } } : {};
  return { command, servesOthers: flags.yes, ...running, ...sut };
}
