/**
 * Who does what is being done. The store of a viewer sets it around each of its calls, so that no change has to hand it on; what
 * nobody asked for, such as the end of what is past its time, is the service's own.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { ActorKind } from "../../schema/audit.ts";
import type { Viewer } from "../../schema/projects.ts";

/** The request, as far as it is known. */
export interface Origin {
  readonly requestId?: string | null;
  readonly address?: string | null;
  /** For a command line with access to the database: its user and machine. */
  readonly command?: string;
}

export interface Actor {
  readonly kind: ActorKind;
  readonly keyId: string | null;
  readonly name: string | null;
  readonly requestId: string | null;
  readonly address: string | null;
}

const service: Actor = { kind: "SERVICE", keyId: null, name: null, requestId: null, address: null };
const current = new AsyncLocalStorage<Actor>();

export function currentActor(): Actor {
  return current.getStore() ?? service;
}

export function actorOf({ key }: Viewer, { requestId = null, address = null, command }: Origin): Actor {
  if (command !== undefined) return { kind: "COMMAND", keyId: null, name: command, requestId, address };
  if (key === null) return { kind: "OPERATOR", keyId: null, name: null, requestId, address };
  return { kind: "KEY", keyId: key.id, name: key.name, requestId, address };
}

/** The same object; whatever its functions do, and those of the groups in it, is done by the actor. */
export function actingAs<Group extends object>(group: Group, actor: Actor, isOuter = true): Group {
  const groups = new Map<PropertyKey, unknown>();
  return new Proxy(group, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key);
      if (typeof member === "function")
        return (...args: unknown[]) => current.run(actor, (): unknown => Reflect.apply(member, target, args));
      if (!isOuter || key === "viewer" || typeof member !== "object" || member === null) return member;
      if (!groups.has(key)) groups.set(key, actingAs(member, actor, false));
      return groups.get(key);
    },
  });
}
