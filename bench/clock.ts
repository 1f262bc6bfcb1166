/**
 * What `--clock recorded` costs a service each time it asks for the time: Node's `Date.now()` and PHP's `microtime()`, with libfaketime
 * and a file that says the moment, as replay starts them, and without. `node --import tsx bench/clock.ts`
 */
import { spawnSync } from 'node:child_process';
import { RecordedClock } from '../src/replay/clock.ts';

const CALLS = 100_000;
const ROUNDS = 5;
const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  'Node, Date.now()': [process.execPath, '-e', `const t=process.hrtime.bigint();for(let n=0;n<${CALLS};n++)Date.now();console.log(Number(process.hrtime.bigint()-t)/${CALLS})`],
  'PHP, microtime(true)': ['php', '-r', `$t=hrtime(true);for($n=0;$n<${CALLS};$n++)microtime(true);echo (hrtime(true)-$t)/${CALLS};`],
};

/** Nanoseconds a call, by the monotonic clock, which stays as it is; undefined where the program is not there. */
function cost([command = '', ...args]: readonly string[]): number | undefined {
  const { status, stdout } = spawnSync(command, args, { encoding: 'utf8' });
  return status === 0 ? Number(stdout.trim()) : undefined;
}

const least = (some: readonly (number | undefined)[]): string => {
  const known = some.filter((one) => one !== undefined);
  return known.length === 0 ? 'not here' : (Math.min(...known) / 1000).toFixed(2);
};

const clock = new RecordedClock(1_700_000_000_000);
try {
  console.log(`µs each time it asks, best of ${ROUNDS}\n\n| asks | now | recorded |\n|---|---|---|`);
  for (const [name, argv] of Object.entries(PROGRAMS)) {
    const [without, recorded]: [(number | undefined)[], (number | undefined)[]] = [[], []];
    for (let round = 0; round < ROUNDS; round += 1) {
      without.push(cost(argv));
      recorded.push(cost(clock.wrapped(argv)));
    }
    console.log(`| ${name} | ${least(without)} | ${least(recorded)} |`);
  }
} finally {
  clock.close();
}
