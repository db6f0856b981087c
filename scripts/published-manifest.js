// npm runs this around `npm pack` and `npm publish`: the package.json inside holds what a user of the package needs, without
// development packages and scripts whose files are not in it. The file is put back afterwards.
//   node scripts/published-manifest.js write | restore
import { copyFileSync, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const manifest = fileURLToPath(new URL("../package.json", import.meta.url));
const kept = fileURLToPath(new URL("../package.json.kept", import.meta.url));

if (process.argv[2] === "restore") {
  renameSync(kept, manifest);
} else {
  // One that is there already is the original, of a pack that was killed.
  if (!existsSync(kept)) copyFileSync(manifest, kept);
  const {
    scripts,
    devDependencies: _,
    ...published
  } = /** @type {{ scripts: Record<string, string> } & Record<string, unknown>} */ (
    JSON.parse(readFileSync(kept, "utf8"))
  );
  writeFileSync(manifest, `${JSON.stringify({ ...published, scripts: { install: scripts["install"] } }, null, 2)}\n`);
}
