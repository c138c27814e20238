import { defineConfig } from "vite";

const worker = process.env["CITYOPS_WORKER"] ?? "http://127.0.0.1:6066";

export default defineConfig({
  base: "./", // works below any path of a reverse proxy
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: { target: "es2022", assetsInlineLimit: 0, chunkSizeWarningLimit: 600 },
  server: { host: "127.0.0.1", proxy: { "/api": worker } }, // `npm run dev` beside a running worker
});
