/** Short messages about what has just been done. What went wrong is shown where it happened instead. */
import { signal } from "@preact/signals";

const shown = signal<readonly { id: number; text: string }[]>([]);
const showMs = 5_000;
let next = 0;

export function toast(text: string): void {
  const id = (next += 1);
  shown.value = [...shown.value, { id, text }];
  setTimeout(() => {
    shown.value = shown.value.filter((one) => one.id !== id);
  }, showMs);
}

export function Toasts() {
  return (
    <div class="toasts" role="status">
      {shown.value.map(({ id, text }) => (
        <p key={id}>{text}</p>
      ))}
    </div>
  );
}
