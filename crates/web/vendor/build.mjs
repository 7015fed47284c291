// Makes the page's third-party code, ../page/vendor, of the packages that are pinned here:
//
//     npm install && node vendor/build.mjs            # writes it
//     npm install && node vendor/build.mjs --check    # fails where it would become another
//
// The packages are looked for in the folder that TRAILDEX_CLIENTS names, where the tests have theirs, or in
// the crate's own.

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const packages = process.env.TRAILDEX_CLIENTS ?? join(here, "..");
const require = createRequire(join(packages, "x.js"));
const { build } = require("esbuild");
const wanted = JSON.parse(readFileSync(join(here, "../package.json"), "utf8")).dependencies;
// Signals come in two packages.
const names = [...Object.keys(wanted), "@preact/signals-core"].sort();

function manifest(name) {
  return JSON.parse(readFileSync(join(packages, "node_modules", name, "package.json"), "utf8"));
}

function licence(name) {
  const { version, license } = manifest(name);
  const text = readFileSync(join(packages, "node_modules", name, "LICENSE"), "utf8");
  return `${name} ${version}\n\nLicence: ${license}\n\n${text}`;
}

for (const [name, version] of Object.entries(wanted)) {
  const found = manifest(name).version;
  if (found !== version) throw new Error(`${name} is ${found}, not ${version}`);
}
const made = await build({
  stdin: { contents: readFileSync(join(here, "preact.mjs"), "utf8"), resolveDir: packages },
  bundle: true,
  format: "esm",
  minify: true,
  write: false,
  target: "es2022",
  legalComments: "none",
});
const files = {
  "preact.js": made.outputFiles[0].text,
  "LICENCES.txt": names.map(licence).join(`\n${"-".repeat(72)}\n\n`),
};
let isSame = true;
for (const [name, text] of Object.entries(files)) {
  const path = join(here, "../page/vendor", name);
  if (!process.argv.includes("--check")) writeFileSync(path, text);
  else if (readFileSync(path, "utf8") !== text) {
    isSame = false;
    console.error(`${name} is not what these packages make`);
  }
}
process.exitCode = isSame ? 0 : 1;
