/** Puts a text on the clipboard, and says whether it is there. */
import { toast } from "./toast.tsx";

export async function copy(text: string): Promise<void> {
  const isThere = (await byClipboard(text)) || bySelection(text);
  toast(isThere ? "Copied." : "This browser does not let the page copy. Select the text and copy it by hand.");
}

/** Browsers have no clipboard for pages on plain http, except on localhost, and may refuse it elsewhere. */
async function byClipboard(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** Within the dialog that is open, if one is: nothing outside of it can be selected. Focus goes back to where it was. */
function bySelection(text: string): boolean {
  const before = document.activeElement;
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "hidden";
  ([...document.querySelectorAll("dialog:modal")].at(-1) ?? document.body).append(area);
  area.select();
  // oxlint-disable-next-line typescript/no-deprecated -- the only way there
  const isThere = document.execCommand("copy");
  area.remove();
  if (before instanceof HTMLElement) before.focus();
  return isThere;
}
