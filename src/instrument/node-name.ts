import { basename } from 'node:path';

/** Of an executable, by its name only: `node`, `nodejs`, `node20`. */
export const isNodeName = (path: string | undefined): boolean => path !== undefined && /^node(js)?[\d.-]*$/.test(basename(path));
