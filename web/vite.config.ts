import { defineConfig } from "vitest/config";

// Names without hashes: the built page is committed, and its differences should stay small. Nothing is inlined, so that the
// page needs no exception from `default-src 'self'`.
export default defineConfig({
  base: "./",
  build: {
    outDir: "../servers/web/page",
    emptyOutDir: true,
    target: "es2022",
    assetsDir: "",
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    modulePreload: false,
    rollupOptions: {
      output: { entryFileNames: "page.js", assetFileNames: "[name][extname]", codeSplitting: false },
    },
  },
  test: { include: ["tests/**/*.test.ts"] },
});
