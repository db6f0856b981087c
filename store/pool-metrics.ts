/** What Prometheus reads of a process' connections to Postgres. A transaction holds one; a single query takes it for a moment. */
import { Gauge, type Registry } from "prom-client";
import type { PoolUse } from "./postgres/database.ts";

/** @param use undefined as long as there is no store */
export function addPool(registers: Registry[], use: () => PoolUse | undefined): void {
  const transactions: Gauge<"state"> = new Gauge({
    name: "steplog_database_transactions",
    help: "Transactions of this process: open, or waiting for a connection.",
    labelNames: ["state"],
    registers,
    collect() {
      const { open = 0, waiting = 0 } = use() ?? {};
      transactions.set({ state: "open" }, open);
      transactions.set({ state: "waiting" }, waiting);
    },
  });
  const connections: Gauge = new Gauge({
    name: "steplog_database_connections",
    help: "Connections to Postgres that this process may have, beside one to hear notifications.",
    registers,
    collect() {
      connections.set(use()?.connections ?? 0);
    },
  });
}
