/** Goes through a list that the service gives page by page. The page is in the address; the browser's Back goes to the one before. */
import { useAddress } from "./projects.ts";

interface PagerProps {
  readonly page: { readonly hasNextPage: boolean; readonly endCursor: string | null };
}

export function Pager({ page }: PagerProps) {
  const { query, set } = useAddress();
  const isFirst = query["after"] === undefined;
  if (isFirst && !page.hasNextPage) return null;
  return (
    <div class="actions">
      <button type="button" disabled={isFirst} onClick={() => set({ after: "" }, "push")}>
        Newest
      </button>
      <button type="button" disabled={!page.hasNextPage} onClick={() => set({ after: page.endCursor ?? "" }, "push")}>
        Older
      </button>
    </div>
  );
}
