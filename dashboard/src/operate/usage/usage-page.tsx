/** What a project used, day by day, against its quotas, and what takes room on disk. */
import { useState } from "preact/hooks";
import { save } from "../../api/client.ts";
import { useAnswer } from "../../api/query.ts";
import { formatBytes, formatCompact, formatCounted, formatDuration, formatInteger } from "../../format.ts";
import { DataTable } from "../../parts/data-table.tsx";
import { Problem } from "../../parts/problem.tsx";
import { OperateFrame } from "../frame.tsx";
import { usageByDay, type UsageByDayQuery } from "../operations.ts";
import { ProjectChoice } from "../project-choice.tsx";
import { useAddress } from "../projects.ts";
import type { Who } from "../who.ts";
import { Bars, type Bar } from "./bars.tsx";
import { csvOf } from "./csv.ts";
import { DiskRoom } from "./disk-room.tsx";
import { daysOf, rangeOf, ranges, type DayRange } from "./range.ts";
import { Limits } from "./limits.tsx";

type Day = UsageByDayQuery["usage"][number];

export function UsagePage() {
  return (
    <OperateFrame title="Usage" needs="READ">
      {(who) => <Usage who={who} />}
    </OperateFrame>
  );
}

function Usage({ who }: { who: Who }) {
  const { query, set } = useAddress();
  const project = query["project"] ?? null;
  const range = rangeOf(query);
  const { data, failure } = useAnswer(usageByDay, { project, ...range });
  return (
    <>
      <search class="filters labelled">
        <ProjectChoice who={who} />
        <RangeChoice range={range} chosen={query} onChange={set} />
        <button
          type="button"
          disabled={data === null}
          onClick={() => data && save(new Blob([csvOf(data.usage)], { type: "text/csv" }), nameOf(range))}
        >
          Download as CSV
        </button>
      </search>
      <Limits project={project} />
      {failure && <Problem title="The usage could not be read" failure={failure} />}
      {data === null && failure === null && <p class="muted">Loading…</p>}
      {data && <Charts days={data.usage} range={range} />}
      <DiskRoom project={project} who={who} />
    </>
  );
}

const nameOf = ({ from, to }: DayRange) => `usage-${from}-to-${to}.csv`;

interface RangeChoiceProps {
  readonly range: DayRange;
  readonly chosen: Readonly<Record<string, string>>;
  readonly onChange: (change: Readonly<Record<string, string>>) => void;
}

function RangeChoice({ range, chosen, onChange }: RangeChoiceProps) {
  const own = chosen["from"] !== undefined || chosen["to"] !== undefined;
  const [typing, setTyping] = useState(own);
  return (
    <>
      <label>
        Days
        <select
          value={typing ? "own" : (chosen["days"] ?? "30")}
          onChange={({ currentTarget: { value } }) => {
            setTyping(value === "own");
            onChange(value === "own" ? { days: "", ...range } : { days: value, from: "", to: "" });
          }}
        >
          {ranges.map(({ days, name }) => (
            <option key={days} value={String(days)}>
              {name}
            </option>
          ))}
          <option value="own">From a day to a day</option>
        </select>
      </label>
      {typing &&
        (["from", "to"] as const).map((end) => (
          <label key={end}>
            {end === "from" ? "From" : "To"}
            <input
              type="date"
              required
              value={range[end]}
              onChange={({ currentTarget: { value } }) => value !== "" && onChange({ ...range, [end]: value })}
            />
          </label>
        ))}
    </>
  );
}

const workerSeconds = (day: Day) =>
  day.stepSeconds + day.evaluationSeconds + day.completionSeconds + day.rebuildSeconds;

function Charts({ days, range }: { days: readonly Day[]; range: DayRange }) {
  const byDay = new Map(days.map((day) => [day.day, day]));
  const all = daysOf(range);
  const barsOf = (...parts: readonly ((day: Day) => number)[]): Bar[] =>
    all.map((day) => {
      const used = byDay.get(day);
      return { day, parts: parts.map((part) => (used ? part(used) : 0)) };
    });
  const total = (part: (day: Day) => number) => days.reduce((sum, day) => sum + part(day), 0);
  return (
    <>
      {days.length === 0 && <p>Nothing was used on these days.</p>}
      <div class="columns wide">
        <Bars
          title="Tokens"
          total={formatCounted(
            total((day) => day.tokensTrained + day.tokensGenerated),
            "token",
          )}
          parts={["trained", "written in answers"]}
          bars={barsOf(
            (day) => day.tokensTrained,
            (day) => day.tokensGenerated,
          )}
          format={formatCompact}
        />
        <Bars
          title="Steps"
          total={formatCounted(
            total((day) => day.steps),
            "step",
          )}
          parts={["steps"]}
          bars={barsOf((day) => day.steps)}
          format={formatCompact}
        />
        <Bars
          title="Time of workers"
          total={formatDuration(total(workerSeconds))}
          parts={["training", "evaluating", "answering", "rebuilding"]}
          bars={barsOf(
            (day) => day.stepSeconds,
            (day) => day.evaluationSeconds,
            (day) => day.completionSeconds,
            (day) => day.rebuildSeconds,
          )}
          format={formatDuration}
        />
        <Bars
          title="Datasets stored"
          total={formatBytes(total((day) => day.bytes))}
          parts={["bytes"]}
          bars={barsOf((day) => day.bytes)}
          format={formatBytes}
        />
      </div>
      {days.length > 0 && (
        <details class="card">
          <summary>The numbers</summary>
          <DataTable
            name="Usage by day"
            rows={days}
            keyOf={({ day }) => day}
            sortedBy={{ title: "Day", descending: true }}
            empty=""
            columns={[
              { title: "Day", cell: ({ day }) => day, sortBy: ({ day }) => day },
              { title: "Steps", number: true, cell: (day) => formatInteger(day.steps), sortBy: (day) => day.steps },
              {
                title: "Time",
                number: true,
                cell: (day) => formatDuration(workerSeconds(day)),
                sortBy: workerSeconds,
              },
              {
                title: "Tokens trained",
                number: true,
                cell: (day) => formatInteger(day.tokensTrained),
                sortBy: (day) => day.tokensTrained,
              },
              {
                title: "Tokens written",
                number: true,
                cell: (day) => formatInteger(day.tokensGenerated),
                sortBy: (day) => day.tokensGenerated,
              },
              { title: "Datasets", number: true, cell: (day) => formatBytes(day.bytes), sortBy: (day) => day.bytes },
            ]}
          />
        </details>
      )}
    </>
  );
}
