/** Writes docs/SETTINGS.md: npm run settings:print. */
import { writeFileSync } from "node:fs";
import { settingsPage } from "./settings-page.ts";

writeFileSync(new URL("../docs/SETTINGS.md", import.meta.url), settingsPage());
