/** Navigation: the path decides which page is shown, and the browser's history keeps it. */
import { useEffect, useState } from "preact/hooks";

const changed = "steplog:navigate";

export function navigate(path: string): void {
  history.pushState(null, "", path);
  dispatchEvent(new Event(changed));
  scrollTo(0, 0);
}

export function usePath(): string {
  const [path, setPath] = useState(location.pathname);
  useEffect(() => {
    const update = () => setPath(location.pathname);
    addEventListener("popstate", update);
    addEventListener(changed, update);
    return () => {
      removeEventListener("popstate", update);
      removeEventListener(changed, update);
    };
  }, []);
  return path;
}

export const runPath = (id: string) => `/fine-tunes/${encodeURIComponent(id)}`;
