import { cpSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Builds the page into a folder. Only a clone has Vite; the package contains the built page. */
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
      // No inlining, because the page's policy allows nothing inline.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
    },
  });
}

// What the package needs beside its compiled sources.
if (import.meta.main) {
  await buildPage('dist/sandbox/web/static');
  // The compiled sources look for it beside `src/` and `sandbox/`, like the sources themselves.
  cpSync('manifest.yml', 'dist/manifest.yml');
  cpSync(fileURLToPath(new URL('../scenes/', import.meta.url)), 'dist/sandbox/scenes', { recursive: true });
}
