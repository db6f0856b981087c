/** Whether the service answers, as the streams and queries of the page have last seen it. */
import { signal } from "@preact/signals";

/** Since when nothing has been heard of the service; null while it answers. */
export const lostSince = signal<Date | null>(null);

/** When it was last heard of, in milliseconds. */
let lastHeard = 0;

export const heardWithin = (ms: number) => Date.now() - lastHeard < ms;

export function heard(answers: boolean): void {
  if (!answers) {
    lostSince.value ??= new Date();
    return;
  }
  lastHeard = Date.now();
  if (lostSince.value === null) return;
  lostSince.value = null;
  readAgain();
}

/** Counts reasons to read everything again: the service is back, another key is used, another tab changed something. */
export const reasons = signal(0);

export function readAgain(): void {
  reasons.value += 1;
}

/** Tells the other tabs of this browser that something was changed here. */
const tabs = new BroadcastChannel("steplog-changes");
tabs.addEventListener("message", readAgain);

export function tellTabs(): void {
  tabs.postMessage(null);
}
