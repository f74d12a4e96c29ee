// A digest of what the page is built from. The test that asks whether the built file is current makes the same.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";

const files = (folder: string): string[] =>
  readdirSync(folder)
    .map((name) => `${folder}/${name}`)
    .flatMap((path) => (statSync(path).isDirectory() ? files(path) : [path]));

export const digest = (): string => {
  const made = createHash("sha256");
  for (const path of ["package-lock.json", "tsconfig.json", "vite.config.ts", ...files("src").sort()])
    made.update(`${path}\n`).update(readFileSync(path));
  return made.digest("hex");
};
