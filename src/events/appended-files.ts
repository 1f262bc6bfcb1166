/** Which file a number stands for: the kernel side names each once, and again after very many others. */
import { dropFirst } from '../bounded.ts';

export interface AppendedFile {
  readonly path: string;
  readonly inode: number;
}

/** Its naming was lost. */
export const UNKNOWN_FILE: AppendedFile = { path: '', inode: 0 };

/** Several times what the kernel side remembers to have named. */
const maxFiles = 65_536;

export class AppendedFiles {
  readonly #files = new Map<number, AppendedFile>();

  told(number: number, file: AppendedFile): void {
    this.#files.set(number, file);
    dropFirst(this.#files, maxFiles);
  }

  of(number: number): AppendedFile {
    return this.#files.get(number) ?? UNKNOWN_FILE;
  }
}
