/** Who is signed in, where keys are used. */
import { useContext } from "preact/hooks";
import { readKey, signOut } from "../api/session.ts";
import { ViewerContext } from "../api/viewer.ts";
import { MenuButton } from "../parts/menu.tsx";

export function Account() {
  const viewer = useContext(ViewerContext);
  if (readKey() === "") return null;
  const project = viewer?.project.name ?? "Signed in";
  return <MenuButton label={project} name={`Signed in to ${project}`} actions={[{ name: "Sign out", run: signOut }]} />;
}
