/** What each form about a project is given. */
import type { ListedProject } from "../projects.ts";

export interface ProjectDeedProps {
  readonly project: ListedProject;
  readonly onChanged: () => void;
  readonly onClose: () => void;
}
