import { readFileSync } from 'node:fs';
import { type Manifest, parseManifest } from './manifest.ts';

/** Reads manifest.yml: it lies beside `src/` in the repository and beside `dist/` in the package. */
export function readManifest(): Manifest {
  return parseManifest(readFileSync(new URL('../../manifest.yml', import.meta.url), 'utf8'));
}
