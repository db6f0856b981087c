/** Every door by name. */
import type { OpenDoor } from "./door.ts";
import { fileDoors } from "./doors/files.ts";
import { gatewayDoors } from "./doors/gateway.ts";
import { rowDoors } from "./doors/rows.ts";

export const doors: Readonly<Record<string, OpenDoor>> = { ...fileDoors, ...rowDoors, ...gatewayDoors };
