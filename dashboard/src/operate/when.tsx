/** How long ago something was, or how soon it is; the exact time under the pointer. */
import { formatAgo, formatTime } from "../format.ts";

export function When({ at, none }: { at: string | null; none: string }) {
  if (at === null) return <span class="muted">{none}</span>;
  return (
    <time dateTime={at} title={formatTime(at)}>
      {formatAgo(at)}
    </time>
  );
}
