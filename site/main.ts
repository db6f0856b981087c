/** Writes the site: tsx site/main.ts [FOLDER], as npm run build does. */
import path from "node:path";
import { buildSite, root } from "./build.ts";

await buildSite(path.resolve(process.argv[2] ?? path.join(root, "docs/dist")));
