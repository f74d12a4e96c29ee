import { fileURLToPath } from "node:url";
import { type Plugin, defineConfig } from "vite";

import { digest } from "./digest";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

// Airflow's page has these already, and a second React would not work inside of it. They are modules and not
// Rollup's `external`, so that packages which call `require("react")` find it too.
const OF_AIRFLOW = [
  ["react", "react"],
  ["react-dom", "react-dom"],
  ["react/jsx-runtime", "jsx-runtime"],
  ["react-router-dom", "react-router-dom"],
  ["@chakra-ui/react", "chakra-ui"],
] as const;

// Written last: what makes the file smaller would leave it out.
const saysOfWhat: Plugin = {
  name: "says-of-what",
  generateBundle: {
    order: "post",
    handler(_, bundle) {
      for (const file of Object.values(bundle))
        if (file.type === "chunk") file.code = `/* Built by make page from web/, sources ${digest()}. */\n${file.code}`;
    },
  },
};

export default defineConfig({
  plugins: [saysOfWhat],
  define: { "process.env.NODE_ENV": JSON.stringify("production") },
  resolve: {
    alias: OF_AIRFLOW.map(([name, file]) => ({
      find: new RegExp(`^${name}$`),
      replacement: here(`src/airflow/${file}.cjs`),
    })),
  },
  build: {
    outDir: "../plugins/pages/static",
    emptyOutDir: true,
    commonjsOptions: { include: [/node_modules/, /src\/airflow/] },
    lib: { entry: "src/main.tsx", formats: ["iife"], name: "Flywheel", fileName: () => "flywheel.js" },
  },
});
