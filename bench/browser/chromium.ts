/**
 * Chromium for the tests of the page and for what measures it, driven by playwright-core, which downloads nothing. Without a
 * Chromium on this machine the tests are skipped, with a reason; in CI they fail.
 */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { chromium, type Browser } from "playwright-core";

const names = ["chromium", "chromium-browser", "google-chrome"];

export const chromiumPath = findChromium();
/** Why the page cannot be opened here; null if it can. */
export const missing =
  chromiumPath === null
    ? `no Chromium: none of ${names.join(", ")} is on the PATH (apt-get install chromium), and STEPLOG_CHROMIUM names none`
    : null;

function findChromium(): string | null {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  const candidates = folders.flatMap((folder) => names.map((name) => join(folder, name)));
  return [process.env["STEPLOG_CHROMIUM"] ?? "", ...candidates].find(isProgram) ?? null;
}

function isProgram(path: string): boolean {
  if (path === "") return false;
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** This machine as others of its network see it: on plain http, browsers trust a page of this name less than one of localhost. */
export const lanName = "steplog.lan";

/**
 * Parts of Chromium that are off. Of two such lists the browser reads the last, so this has what playwright-core's list has
 * for this system too. The last three load pages that nobody sees for every window, which took more of the processor than
 * many a test of the page: two for suggestions under the address bar, and a process for the next site.
 */
const withoutFeatures = [
  "AvoidUnnecessaryBeforeUnloadCheckSync",
  "DestroyProfileOnBrowserClose",
  "HttpsUpgrades",
  "HttpsFirstBalancedModeAutoEnable",
  "LensOverlay",
  "MediaRouter",
  "PaintHolding",
  "ThirdPartyStoragePartitioning",
  "AvoidCorsURLLoaderRestartOnRedirect",
  "OptimizationHints",
  "NetworkTimeServiceQuerying",
  "AimEnabled",
  "PreconnectToSearch",
  "WebUIOmniboxPopup",
  "WebUIOmniboxAimPopup",
  "SpareRendererForSitePerProcess",
];

export async function openBrowser(): Promise<Browser> {
  if (chromiumPath === null) throw new Error(missing ?? "");
  return chromium.launch({
    executablePath: chromiumPath,
    // No sandbox, since CI runs as root in a container. The other flags keep the browser from contacting other hosts.
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--disable-dev-shm-usage",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      `--disable-features=${withoutFeatures.join(",")}`,
      `--host-resolver-rules=MAP ${lanName} 127.0.0.1`,
    ],
  });
}
