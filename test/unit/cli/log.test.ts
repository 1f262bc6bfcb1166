import { deepEqual, equal, match } from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openLog, rotatedName } from '../../../src/cli/log.ts';
import { removeTemporaryFolders, temporaryFolder } from '../store/recordings.ts';

describe('log file', () => {
  afterEach(removeTemporaryFolders);

  it('of an hour that is over is put aside under that hour\'s name, and a new one begun', async () => {
    const folder = temporaryFolder();
    const file = join(folder, 'koala.log');
    const before = new Date(Date.now() - 2 * 3_600_000);
    writeFileSync(file, 'of then\n');
    utimesSync(file, before, before);
    const log = await openLog({ file, level: 'INFO' });
    log.logger.info('of now');
    await log.close();
    await log.close();
    const hour = new Date(before.getFullYear(), before.getMonth(), before.getDate(), before.getHours());
    const aside = rotatedName('koala.log', hour);
    deepEqual(readdirSync(folder).sort(), ['koala.log', aside]);
    equal(readFileSync(join(folder, aside), 'utf8'), 'of then\n');
    match(readFileSync(file, 'utf8'), /"level":"INFO".*"msg":"of now"/);
    equal(statSync(file).mode & 0o777, 0o600);
  });

  it('takes nothing below its level', async () => {
    const file = join(temporaryFolder(), 'koala.log');
    const log = await openLog({ file, level: 'WARN' });
    log.logger.info('quiet');
    log.logger.error('loud');
    await log.close();
    deepEqual(readFileSync(file, 'utf8').trim().split('\n').map((line) => (JSON.parse(line) as { msg: string }).msg), ['loud']);
  });
});
