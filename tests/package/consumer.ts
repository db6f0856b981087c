import { readFile } from "node:fs/promises";
console.log(await readFile(process.argv[3] + "/package.json", "utf8").then((text) => text.length > 0));
