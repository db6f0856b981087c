/** Who is signed in, where keys are used. */
import { useAnswer } from "../api/query.ts";
import { readKey, signOut } from "../api/session.ts";
import { MenuButton } from "../parts/menu.tsx";
import { viewer } from "./operations.ts";

export function Account() {
  const { data } = useAnswer(viewer, {}, { skip: readKey() === "" });
  if (readKey() === "") return null;
  const project = data?.viewer.project.name ?? "Signed in";
  return <MenuButton label={project} name={`Signed in to ${project}`} actions={[{ name: "Sign out", run: signOut }]} />;
}
