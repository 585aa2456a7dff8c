import { readFileSync } from 'node:fs';
import { type Manifest, parseManifest } from './manifest.ts';

/** manifest.yml as it ships: beside `src/` in the repository, beside `dist/` in the package. */
export function readManifest(): Manifest {
  return parseManifest(readFileSync(new URL('../../manifest.yml', import.meta.url), 'utf8'));
}
