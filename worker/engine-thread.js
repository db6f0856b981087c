// Where the engine thread begins: a thread does not inherit the TypeScript loader of its process.
import { register } from "tsx/esm/api";

register();
await import("./engine-thread.ts");
