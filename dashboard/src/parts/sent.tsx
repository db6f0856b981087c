/** How much of an upload has been sent. */
import { formatShare } from "../format.ts";

/** @param share 0 to 1; then the service reads the rows */
export function Sent({ share }: { share: number }) {
  return (
    <div class="progress" role="status">
      <progress max={1} value={share} aria-label="Sent">
        {formatShare(share)}
      </progress>
      <span>{share < 1 ? `Sent ${formatShare(share)}` : "Checking the rows…"}</span>
    </div>
  );
}
