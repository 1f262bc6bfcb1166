import { deepEqual, equal, throws } from 'node:assert/strict';
import { bypasses, durationFlag, logSettings, parseDuration, quietMs, sizeFlag } from '../../../src/cli/environment.ts';
import { timeFlag } from '../../../src/cli/ls.ts';
import { UserError } from '../../../src/errors.ts';

const refuses = (work: () => unknown, naming: RegExp): void => throws(work, (error) => error instanceof UserError && naming.test(error.message));

describe('environment', () => {
  it('reads Go durations and nothing else', () => {
    const known: [string, number | undefined][] = [
      ['100ms', 100], ['1m30s', 90_000], ['1.5h', 5_400_000], ['.5s', 500], ['0', 0], ['250us', 0.25], ['5', undefined], ['s', undefined],
      ['', undefined], ['-1s', undefined], ['5 s', undefined], ['1d', undefined], ['1s ', undefined],
    ];
    for (const [text, ms] of known) equal(parseDuration(text), ms, text);
    refuses(() => durationFlag('duration', 'soon'), /--duration: "soon"/);
  });

  it('reads sizes', () => {
    deepEqual(['64MiB', '2GB', '10', '1K', '1.5kib', '0'].map((text) => sizeFlag('max-disk', text)), [67_108_864, 2_000_000_000, 10, 1024, 1536, 0]);
    for (const text of ['', 'MiB', '-1', '5 parsecs', '1e9']) refuses(() => sizeFlag('max-disk', text), /--max-disk/);
  });

  it('a flag beats its variable, and an empty variable is as good as none', () => {
    equal(quietMs({}), 5000);
    equal(quietMs({ KOALA_GC_GLOBAL_STATUS_TIMEOUT: '' }), 5000);
    equal(quietMs({ KOALA_GC_GLOBAL_STATUS_TIMEOUT: '2s' }), 2000);
    equal(quietMs({ KOALA_GC_GLOBAL_STATUS_TIMEOUT: '2s' }, '3s'), 3000);
    refuses(() => quietMs({ KOALA_GC_GLOBAL_STATUS_TIMEOUT: 'never' }), /KOALA_GC_GLOBAL_STATUS_TIMEOUT: "never"/);
    refuses(() => quietMs({ KOALA_GC_GLOBAL_STATUS_TIMEOUT: '2s' }, 'never'), /--quiet-after: "never"/);
  });

  it('a log is asked for by file or by level', () => {
    deepEqual(logSettings({}), { file: undefined, level: 'INFO' });
    deepEqual(logSettings({ KOALA_LOG_LEVEL: 'debug' }), { file: 'STDERR', level: 'DEBUG' });
    deepEqual(logSettings({ KOALA_LOG_FILE: '/x/y.log', KOALA_LOG_LEVEL: '' }), { file: '/x/y.log', level: 'INFO' });
    deepEqual(logSettings({ KOALA_LOG_FILE: '/x/y.log' }, { file: 'STDOUT', level: 'WARN' }), { file: 'STDOUT', level: 'WARN' });
    deepEqual(logSettings({ KOALA_LOG_FILE: 'STDOUT' }, {}, true), { file: 'STDERR', level: 'INFO' });
    refuses(() => logSettings({ KOALA_LOG_LEVEL: 'LOUD' }), /KOALA_LOG_LEVEL: "LOUD" is not one of TRACE/);
  });

  it('what is left alone is named by address or port', () => {
    deepEqual(bypasses({ KOALA_OUTBOUND_BYPASS_ADDR: '10.0.0.1:80, :9000', KOALA_OUTBOUND_BYPASS_PORT: '9229' }), [
      { host: '10.0.0.1', port: 80 }, { host: undefined, port: 9000 }, { host: undefined, port: 9229 },
    ]);
    deepEqual(bypasses({ KOALA_OUTBOUND_BYPASS_PORT: '9229' }, ['[::1]:5']), [{ host: '::1', port: 5 }]);
    refuses(() => bypasses({ KOALA_OUTBOUND_BYPASS_ADDR: 'db.internal:5432' }), /KOALA_OUTBOUND_BYPASS_ADDR: "db.internal:5432"/);
    refuses(() => bypasses({ KOALA_OUTBOUND_BYPASS_PORT: '70000' }), /KOALA_OUTBOUND_BYPASS_PORT: "70000" is not a port/);
    refuses(() => bypasses({}, ['10.0.0.1']), /--bypass/);
  });


  it('times are dates, times of today or how long ago', () => {
    const nowMs = new Date(2026, 10, 23, 14, 30).getTime();
    equal(timeFlag('since', '10m', nowMs), (nowMs - 600_000) * 1000);
    equal(timeFlag('since', '14:00', nowMs), new Date(2026, 10, 23, 14, 0).getTime() * 1000);
    equal(timeFlag('since', '2026-11-23T14:00:00Z', nowMs), Date.UTC(2026, 10, 23, 14) * 1000);
    equal(timeFlag('since', '2026-11-23T14:00:00.014514Z', nowMs), Date.UTC(2026, 10, 23, 14) * 1000 + 14_514);
    equal(timeFlag('since', '2026-11-23T14:00:00.0145+00:00', nowMs), Date.UTC(2026, 10, 23, 14) * 1000 + 14_500);
    equal(timeFlag('since', '14:00:00.25', nowMs), new Date(2026, 10, 23, 14, 0).getTime() * 1000 + 250_000);
    equal(timeFlag('since', '2026-11-23', nowMs), new Date(2026, 10, 23).getTime() * 1000);
    for (const text of ['yesterday', '25:00', '12', '2026-13-01']) refuses(() => timeFlag('since', text, nowMs), /--since/);
  });
});
