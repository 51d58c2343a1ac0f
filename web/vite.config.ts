import { loadEnv, type Plugin } from "vite";
import { viteSingleFile } from "vite-plugin-singlefile";
import { defineConfig } from "vitest/config";

/** The `neurflow explore` that the development server passes requests on to. */
const explorer = loadEnv("", ".", "NEURFLOW_").NEURFLOW_EXPLORER ?? "http://127.0.0.1:8750";

/** The page's content security policy allows inline scripts alone; Vite serves modules while developing. */
const withoutPolicy: Plugin = {
  name: "without-policy",
  apply: "serve",
  transformIndexHtml: (html) => html.replace(/<meta[^>]*Content-Security-Policy[^>]*>/, ""),
};

/** Indentation, and the flag for a module of another address: an inline one has none. */
const withoutSpaces: Plugin = {
  name: "without-spaces",
  apply: "build",
  transformIndexHtml: { order: "post", handler: (html) => html.replace(/\n\s+/g, "\n").replace(" crossorigin", "") },
};

export default defineConfig({
  plugins: [withoutSpaces, viteSingleFile(), withoutPolicy],
  server: {
    proxy: {
      "/api": {
        target: explorer,
        changeOrigin: true,
        // the explorer refuses requests of other pages: these come from its own page, under another address
        headers: { origin: explorer },
      },
    },
  },
  test: { css: true }, // the test of contrast reads it
  build: { target: "es2022", modulePreload: { polyfill: false }, reportCompressedSize: false },
});
