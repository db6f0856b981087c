/** Health check of the image: 0 when the gateway in this container is up and reaches Postgres. */
const { PORT = "" } = process.env;
// Set to nothing counts as not set, as everywhere.
const port = PORT === "" ? "4000" : PORT;
const answer = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(4_000) }).catch(() => null);
process.exitCode = answer?.ok === true ? 0 : 1;
