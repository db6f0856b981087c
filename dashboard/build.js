/**
 * npm's `prepare`: builds the page after `npm install` in a clone, in about a second. An install without development
 * packages has no vite and needs none: the page is built elsewhere (the Dockerfile does), and the server works without.
 */
const vite = await import("vite").catch(() => null);

if (vite === null) {
  console.log("The web page is not built: vite is a development package, and this install is without those.");
} else {
  const configFile = new URL("vite.config.ts", import.meta.url).pathname;
  await vite.build({ configFile, logLevel: "warn" });
}
