/** A process that starts the embedded Postgres in a folder, says its URL, and lives until it is killed. */
import { startEmbeddedPostgres } from "../../store/postgres/embedded.ts";

const [dataDir = ""] = process.argv.slice(2);
const { url } = await startEmbeddedPostgres({ dataDir });
console.log(url);
setInterval(() => {}, 60_000);
