/** Fills the databases of the stacks. */
import { execFileSync } from 'node:child_process';
import { TABLES } from './stack.ts';

export function postgresqlTables(url: string): void {
  execFileSync('psql', [url, '-q', '-v', 'ON_ERROR_STOP=1', '-f', '-'], { input: TABLES, stdio: ['pipe', 'pipe', 'pipe'], timeout: 20_000 });
}

export function mariadbTables(socket: string): void {
  execFileSync('mariadb', ['--no-defaults', '-S', socket, '-u', 'root', 'shop'], { input: TABLES, stdio: ['pipe', 'pipe', 'pipe'], timeout: 20_000 });
}
