/** What the pages do beyond showing text: search, copying code, and the place in the navigation. */
import "./site.css";
import { copyButtons } from "./copy.ts";
import { startSearch } from "./search.ts";

startSearch();
copyButtons();
// Beside the text there is room for what is on the page; above it, only for those who ask.
const toc = document.querySelector<HTMLDetailsElement>(".toc details");
if (toc) toc.open = matchMedia("(min-width: 1180px)").matches;
document.querySelector("#pages [aria-current]")?.scrollIntoView({ block: "nearest" });
