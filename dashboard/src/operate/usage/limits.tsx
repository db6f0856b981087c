/** How far the project is with its quotas, and this key with its rate limits. */
import type { QuotaName, RateLimitName } from "../../../../client/schema-types.ts";
import { useAnswer } from "../../api/query.ts";
import { formatBytes, formatCompact, formatInteger, formatTime } from "../../format.ts";
import { Problem } from "../../parts/problem.tsx";
import { ownRates, quotasOf } from "../operations.ts";

const everyMs = 10_000;

const quotaWords: Readonly<Record<QuotaName, string>> = {
  BYTES: "Stored datasets, weights and exports",
  CONCURRENT_RUNS: "Runs at once",
  REQUESTS_WAITING: "Requests to models, waiting or being answered",
  STEPS_A_MONTH: "Steps this month",
  TOKENS_A_MONTH: "Tokens this month",
  WORKER_SECONDS_A_MONTH: "Seconds of workers this month",
};

const rateWords: Readonly<Record<RateLimitName, string>> = {
  FILES: "Uploads and downloads",
  GRAPHQL: "GraphQL points",
  OPENAI: "Requests to /v1",
};

export function Limits({ project }: { project: string | null }) {
  const quotas = useAnswer(quotasOf, { project }, { everyMs });
  const rates = useAnswer(ownRates, {}, { everyMs });
  return (
    <div class="columns">
      <section class="card" aria-labelledby="quotas">
        <h2 id="quotas">Quotas of the project</h2>
        {quotas.failure && <Problem title="The quotas could not be read" failure={quotas.failure} />}
        {quotas.data?.quotas.length === 0 && <p class="muted">None: it may use as much as there is.</p>}
        {quotas.data?.quotas.map(({ name, limit, used, resetsAt }) => {
          const format = name === "BYTES" ? formatBytes : formatInteger;
          return (
            <Meter
              key={name}
              name={quotaWords[name]}
              used={used}
              limit={limit}
              words={`${format(used)} of ${format(limit)}`}
              note={resetsAt === null ? "" : `starts again at 0 on ${formatTime(resetsAt)}`}
            />
          );
        })}
      </section>
      <section class="card" aria-labelledby="rates">
        <h2 id="rates">Rate limits of your key</h2>
        {rates.failure && <Problem title="The rate limits could not be read" failure={rates.failure} />}
        {rates.data?.rateLimits.length === 0 && <p class="muted">None: it may ask as often as it likes.</p>}
        {rates.data?.rateLimits.map(({ name, limit, remaining, windowSeconds, resetsInSeconds }) => (
          <Meter
            key={name}
            name={rateWords[name]}
            used={limit - remaining}
            limit={limit}
            words={`${formatCompact(limit - remaining)} of ${formatInteger(limit)} in ${windowSeconds} s`}
            note={`resets in ${resetsInSeconds} s`}
          />
        ))}
      </section>
    </div>
  );
}

interface MeterProps {
  readonly name: string;
  readonly used: number;
  readonly limit: number;
  readonly words: string;
  readonly note: string;
}

function Meter({ name, used, limit, words, note }: MeterProps) {
  const full = used >= limit;
  return (
    <div class="meter">
      <span>{name}</span>
      <span class={full ? "bad" : ""}>
        {words}
        {full && ": used up"}
      </span>
      <progress
        max={limit === 0 ? 1 : limit}
        value={limit === 0 ? 1 : Math.min(used, limit)}
        aria-label={`${name}: ${words}`}
      />
      {note !== "" && <small class="muted">{note}</small>}
    </div>
  );
}
