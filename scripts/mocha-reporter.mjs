// Mocha's spec on the terminal and, for scripts/test, a JSON file ($KOALA_TEST_REPORT): {passed, failed, failures: [{title, message}], skipped: [{title, reason}]}.
// A test that skips prints its reason first (console.log, then this.skip()): that last line is taken as the reason.
// Plain JavaScript: mocha loads reporters without tsx.
import { writeFileSync } from 'node:fs';
import mocha from 'mocha';

const { EVENT_TEST_PASS, EVENT_TEST_FAIL, EVENT_TEST_PENDING, EVENT_TEST_BEGIN, EVENT_HOOK_BEGIN, EVENT_RUN_END } = mocha.Runner.constants;

/** What failed tests leave is waited for so long. */
const LEFT_MS = 1000;

export default class Reporter extends mocha.reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    const file = process.env.KOALA_TEST_REPORT;
    const skipped = [];
    const failures = [];
    let passed = 0;
    let failed = 0;
    let line = '';
    const log = console.log;
    console.log = (...args) => {
      line = args.map(String).join(' ').trim().split('\n').at(-1) ?? '';
      log.apply(console, args);
    };
    const forget = () => (line = '');
    runner.on(EVENT_TEST_BEGIN, forget);
    runner.on(EVENT_HOOK_BEGIN, forget);
    runner.on(EVENT_TEST_PASS, () => passed++);
    runner.on(EVENT_TEST_FAIL, (test, error) => {
      failed++;
      failures.push({ title: test.fullTitle(), message: String(error?.stack ?? error) });
    });
    runner.on(EVENT_TEST_PENDING, (test) => skipped.push({ title: test.fullTitle(), reason: line || 'no reason was printed' }));
    runner.once(EVENT_RUN_END, () => {
      console.log = log;
      // What a failed test has not ended would keep this process until its suite took too long.
      if (failed > 0) setTimeout(() => process.exit(1), LEFT_MS).unref();
      if (file) writeFileSync(file, JSON.stringify({ passed, failed, failures, skipped }));
    });
  }
}
