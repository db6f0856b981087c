/** The webhooks of a viewer's project. They send what happens in it to elsewhere, so all of it needs `admin`. */
import type { Scope } from "../../schema/projects.ts";
import type { Database } from "../postgres/database.ts";
import { translated } from "../postgres/failures.ts";
import { type Webhooks, webhooksOf } from "../webhooks/endpoints.ts";

interface Room {
  readonly database: Database;
  readonly projectId: string;
  readonly may: (scope: Scope) => void;
}

export function ownWebhooksOf({ database, projectId, may }: Room): Webhooks {
  const webhooks = translated(webhooksOf(database, projectId));
  const asAdmin = (): Webhooks => {
    may("admin");
    return webhooks;
  };
  return {
    create: async (input) => asAdmin().create(input),
    update: async (id, change) => asAdmin().update(id, change),
    remove: async (id) => asAdmin().remove(id),
    rotateSecret: async (id) => asAdmin().rotateSecret(id),
    byIds: async (ids) => asAdmin().byIds(ids),
    list: async () => asAdmin().list(),
    deliveries: async (id, page) => asAdmin().deliveries(id, page),
    countDeliveries: async (id, status) => asAdmin().countDeliveries(id, status),
    deliveriesByIds: async (ids) => asAdmin().deliveriesByIds(ids),
    attempts: async (id) => asAdmin().attempts(id),
    replay: async (id, what) => asAdmin().replay(id, what),
    test: async (id) => asAdmin().test(id),
  };
}
