/** steplog completion SHELL: prints what a shell reads to complete commands, options, and names of the service. */
import { Argument, type Command } from "commander";
import { scripts } from "../completion/scripts.ts";

export function define(command: Command): void {
  command
    .description(
      "Print the script by which a shell completes commands, options and choices, and names and short ids of what the service has.",
    )
    .addArgument(new Argument("<shell>", "the shell").choices(Object.keys(scripts)))
    .addHelpText(
      "after",
      "\nExamples:\n" +
        "  source <(steplog completion bash)                                       in ~/.bashrc\n" +
        "  source <(steplog completion zsh)                                        in ~/.zshrc\n" +
        "  steplog completion fish > ~/.config/fish/completions/steplog.fish",
    )
    .action((shell: keyof typeof scripts) => void process.stdout.write(scripts[shell]));
}
