/** For operators, who act for all projects: which one the page is about. */
import { useAddress, useProjects } from "./projects.ts";
import type { Who } from "./who.ts";

interface ChoiceProps {
  readonly who: Who;
  /** A choice of all projects at once, where there is one. */
  readonly all?: string;
}

export function ProjectChoice({ who, all }: ChoiceProps) {
  return who.operator ? <Choice who={who} all={all} /> : null;
}

function Choice({ who, all }: { who: Who; all: string | undefined }) {
  const { query, set } = useAddress();
  const { projects } = useProjects();
  const others = (projects ?? []).filter(({ id }) => id !== who.project.id);
  const chosen = query["project"] ?? "";
  if (others.length === 0 && chosen === "") return null;
  return (
    <label>
      Project
      <select value={chosen} onChange={({ currentTarget }) => set({ project: currentTarget.value, after: "" })}>
        <option value="">{all ?? who.project.name}</option>
        {(all === undefined ? others : (projects ?? [])).map(({ id, name }) => (
          <option key={id} value={id} selected={id === chosen}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}
