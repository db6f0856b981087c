/** The API key, which stays in this browser, and whether the service asks for one. */
import { signal } from "@preact/signals";

const place = "steplog-token";

export const readKey = () => localStorage.getItem(place) ?? "";

/** Set when the service refused the key that the page has, or asked for one. The page then asks its reader. */
export const needsKey = signal(false);

/** Everything is read again with the new key. */
export function signIn(key: string): void {
  localStorage.setItem(place, key.trim());
  location.reload();
}

export function signOut(): void {
  localStorage.removeItem(place);
  location.reload();
}
