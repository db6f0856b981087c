/**
 * What a shell reads to complete the words of `steplog`. The scripts know none of them: they ask the command at each Tab, by
 * the name by which it was typed, so that they never fall behind it.
 */

/** The first argument by which the scripts ask; the words that were typed follow. */
export const tabArgument = "__complete";

const bash = `# Completion of steplog for bash.
_steplog_completion() {
  local line word files=
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ -z $files ]]; then files=$line; continue; fi
    printf -v word %q "\${line%%$'\\t'*}"
    COMPREPLY+=("$word")
  done < <("$1" ${tabArgument} "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  # Files where no word fits, with a slash after folders.
  [[ $files == files ]] && compopt -o default 2>/dev/null
  return 0
}
complete -F _steplog_completion steplog
`;

const zsh = `#compdef steplog
# Completion of steplog for zsh.
_steplog() {
  local -a lines words_found
  local line
  lines=("\${(@f)$("$words[1]" ${tabArgument} "\${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
  for line in "\${(@)lines[2,-1]}"; do
    [[ -n $line ]] && words_found+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  (( $#words_found )) && _describe 'steplog' words_found
  [[ $lines[1] == files ]] && _files
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _steplog "$@"
else
  (( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }
  compdef _steplog steplog
fi
`;

const fish = `# Completion of steplog for fish.
function __steplog_complete
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    test (count $current) -eq 0; and set current ''
    set -l lines ($before[1] ${tabArgument} $before[2..] $current 2>/dev/null)
    test "$lines[1]" = files; and __fish_complete_path $current
    test (count $lines) -gt 1; and printf '%s\\n' $lines[2..]
end
complete -c steplog -f -k -a '(__steplog_complete)'
`;

export const scripts = { bash, zsh, fish } as const;
