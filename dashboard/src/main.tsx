import { render } from "preact";
import "uplot/dist/uPlot.min.css";
import "./style/tokens.css";
import "./style/base.css";
import "./style/shell.css";
import "./style/parts.css";
import "./style/forms.css";
import "./style/tables.css";
import "./style/runs.css";
import "./style/run.css";
import "./style/compare.css";
import { App } from "./app.tsx";
import { listenToKeys } from "./keys.ts";
import { startTheme } from "./theme.ts";

startTheme();
listenToKeys();
const root = document.querySelector("#app");
if (root) render(<App />, root);
