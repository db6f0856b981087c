/** The API key, which stays in this browser, and whether the service asks for one. */
import { computed, signal } from "@preact/signals";
import { readAgain } from "./connection.ts";

const place = "steplog-token";

export const readKey = () => localStorage.getItem(place) ?? "";

/** The key that the page goes by; another tab may already have left a newer one. "": none. */
const ownKey = signal(readKey());
const refusedKey = signal<string | null>(null);

/** The service refused the key that the page has, or asked for one. The page then asks its reader. */
export const needsKey = computed(() => refusedKey.value === ownKey.value);

/** An answer to a key that has been replaced meanwhile may come late, so whoever tells names the key that was sent. */
export function refused(key: string): void {
  refusedKey.value = key;
}

export const isReplaced = (key: string) => key !== readKey();

/** Everything is read again with the new key; what somebody is typing stays. */
export function signIn(key: string): void {
  localStorage.setItem(place, key.trim());
  goOn();
}

/** Switches to a key that was made on this page, and keeps everything that is on it. */
export function goOnWith(key: string): void {
  localStorage.setItem(place, key.trim());
  stay();
}

/** Set while somebody signs out: from then on, what was written on the page is not kept. */
export const leaving = signal(false);

/** Nothing is left to whoever comes next. */
export function signOut(): void {
  leaving.value = true;
  localStorage.removeItem(place);
  sessionStorage.clear();
  location.reload();
}

/** Another tab of this browser has signed in. */
addEventListener("storage", ({ key }) => {
  if (key !== place) return;
  if (needsKey.value && readKey() !== "") goOn();
  else ownKey.value = readKey();
});

/** A page on which nothing would be lost begins anew, with its streams. */
function goOn(): void {
  if (hasTyped()) stay();
  else location.reload();
}

function stay(): void {
  ownKey.value = readKey();
  refusedKey.value = null;
  readAgain();
}

function hasTyped(): boolean {
  const dialogs = document.querySelectorAll("dialog[open]:not([data-signs-in])");
  const fields = document.querySelectorAll<HTMLInputElement | HTMLTextAreaElement>(
    ":is(input:not([type=checkbox], [type=radio]), textarea):not([data-signs-in] *)",
  );
  return dialogs.length > 0 || [...fields].some(({ value, defaultValue }) => value !== defaultValue);
}
