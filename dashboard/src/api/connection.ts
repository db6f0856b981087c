/** Whether the service answers, as the streams and queries of the page have last seen it. */
import { signal } from "@preact/signals";

/** Since when nothing has been heard of the service; null while it answers. */
export const lostSince = signal<Date | null>(null);

export function heard(answers: boolean): void {
  if (answers) lostSince.value = null;
  else lostSince.value ??= new Date();
}
