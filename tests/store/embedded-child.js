/**
 * A process that starts the embedded Postgres in a folder, says its URL, and lives until it is killed.
 *
 *   node embedded-child.js MODULE FOLDER      MODULE: the compiled store/postgres/embedded
 */
const [module = "", dataDir = ""] = process.argv.slice(2);
const embedded = /** @type {typeof import("../../store/postgres/embedded.ts")} */ (await import(module));
const { url } = await embedded.startEmbeddedPostgres({ dataDir });
console.log(url);
setInterval(() => {}, 60_000);
