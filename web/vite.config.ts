import { defineConfig } from "vitest/config";
import { viteSingleFile } from "vite-plugin-singlefile";

export default defineConfig({
  plugins: [viteSingleFile({ removeViteModuleLoader: true })],
  test: { css: true }, // read by the test of contrast
  build: { target: "es2022", reportCompressedSize: false },
});
