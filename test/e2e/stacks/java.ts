/** The shop on Java: Spring Boot on Tomcat, HikariCP, PostgreSQL's JDBC driver and its binary results. */
import { join } from 'node:path';
import { accepts, freePort } from '../services/daemon.ts';
import { postgresql } from '../services/dependency.ts';
import { stopAll } from '../services/service.ts';
import { built, type Built } from './built.ts';
import { postgresqlTables } from './tables.ts';
import type { Stack } from './stack.ts';

export const javaBuild = (): Built => built('java', ['mvn', 'javac'], [['mvn', '--quiet', '--batch-mode', '-DskipTests', 'package']]);

export async function javaStack(dir: string): Promise<Stack> {
  const [sql, port] = await Promise.all([postgresql(), freePort()]);
  postgresqlTables(`postgresql://${sql.user}:${sql.password}@127.0.0.1:${sql.port}/${sql.database}`);
  return {
    port, clients: 8, calls: 4,
    command: ['env', `SPRING_DATASOURCE_URL=jdbc:postgresql://127.0.0.1:${sql.port}/${sql.database}?prepareThreshold=3`, `SPRING_DATASOURCE_USERNAME=${sql.user}`,
      `SPRING_DATASOURCE_PASSWORD=${sql.password}`, 'java', '-Xmx192m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-jar', join(dir, 'target', 'shop.jar'),
      `--server.port=${port}`, '--server.address=127.0.0.1', '--spring.datasource.hikari.maximum-pool-size=6', '--server.tomcat.threads.max=12', '--spring.main.banner-mode=off'],
    signs: { added: /count\(\*\) as dearer/, dropped: /select name, price from items/, parameter: /request\.parameters\[0\]/, twice: /count\(\*\) as sold/, body: 'response.body.$' },
    ready: () => accepts(port),
    stopDependencies: () => stopAll([sql]),
    remove: () => undefined,
  };
}
