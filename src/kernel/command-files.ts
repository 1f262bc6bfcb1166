/** The files that the name of a command may mean. */
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** `name` itself where it is a path, else those of that name in PATH, in its order. `name` may be any word: one too long for a path names no file. */
export function commandFiles(name: string): string[] {
  const paths = name.includes('/') ? [name] : (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, name));
  return paths.filter(isFile);
}

/** By whoever runs this. */
export function mayExecute(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
