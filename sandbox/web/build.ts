import { cpSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Builds the page into a folder. Vite is there in a clone; the package brings the page built. */
export async function buildPage(outDir: string): Promise<void> {
  const { build } = await import('vite');
  await build({
    root: fileURLToPath(new URL('../page/', import.meta.url)),
    configFile: false,
    logLevel: 'error',
    base: './',
    oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
    build: {
      outDir: resolve(outDir),
      emptyOutDir: true,
      target: 'es2023',
      // Everything is a file of its own: the page's policy allows nothing inline.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
    },
  });
}

// What the package needs beside its compiled sources.
if (import.meta.main) {
  await buildPage('dist/sandbox/web/static');
  // The compiled sources look for it where it stands for the sources: beside `src/` and `sandbox/`.
  cpSync('manifest.yml', 'dist/manifest.yml');
  cpSync(fileURLToPath(new URL('../scenes/', import.meta.url)), 'dist/sandbox/scenes', { recursive: true });
}
