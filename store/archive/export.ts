/** The export of a project: it is written down that somebody has it before its first byte. */
import { eq } from "drizzle-orm";
import { type Project, projects } from "../../schema/project-tables.ts";
import { audit } from "../audit/audit.ts";
import type { Blobs } from "../blobs/blobs.ts";
import type { Database } from "../postgres/database.ts";
import { notThere } from "../projects/sight.ts";
import { type ArchiveOptions, archiveOf } from "./files.ts";
import { tarOf } from "./tar.ts";

export interface ProjectArchive {
  readonly project: Project;
  readonly tar: AsyncIterable<Uint8Array>;
}

interface Place {
  readonly database: Database;
  readonly blobs: Blobs;
}

/** @throws NOT_FOUND */
export async function exportProject(place: Place, id: string, options: ArchiveOptions): Promise<ProjectArchive> {
  const project = await place.database.transaction(async (tx) => {
    const [found] = await tx.select().from(projects).where(eq(projects.id, id));
    if (!found) throw notThere("project", id);
    await audit(tx, {
      projectId: id,
      action: "project.exported",
      object: found,
      details: { weights: options.weights },
    });
    return found;
  });
  return { project, tar: tarOf(archiveOf({ ...place, project }, options)) };
}
