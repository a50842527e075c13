/**
 * The scripts that complete this command line, for each shell. All do the same: go down the command's words to a place,
 * then offer the values of the option before the cursor, or what may stand at the place.
 */
import type { Offer, OptionOffer, Place } from './completion-model.ts';

export const SCRIPTS: Readonly<Record<'bash' | 'zsh' | 'fish', (places: readonly Place[]) => string>> = {
  bash,
  zsh,
  fish,
};

/** A word of a shell. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
const names = (options: readonly OptionOffer[]): string[] => options.flatMap((option) => option.names);

/** `case` branches for the options of all places that have a value: their place and name, and the offer in the shell's terms. */
function valueCases(places: readonly Place[], offer: (offer: Offer) => string): string {
  const lines = places.flatMap(({ path, options }) =>
    options.flatMap((option) =>
      option.value === undefined
        ? []
        : [
            `    ${option.names.map((name) => quoted(`${path} ${name}`)).join(' | ')}) ${offer(option.value)}; return ;;\n`,
          ],
    ),
  );
  return lines.join('');
}

/** The pattern of the words that lead on from one place to another: `'' doctor`, `vm race`. */
function ways(places: readonly Place[]): string {
  return places.flatMap(({ path, commands }) => commands.map(({ name }) => quoted(`${path} ${name}`))).join(' | ');
}

function bash(places: readonly Place[]): string {
  const offer = (of: Offer): string => {
    if (of === 'unknown') return ':';
    if (of === 'file') return 'compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$word")';
    if (of === 'folder') return 'compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$word")';
    return `mapfile -t COMPREPLY < <(compgen -W ${quoted(of.join(' '))} -- "$word")`;
  };
  const options = places.map((place) => `    ${quoted(place.path)}) ${offer(names(place.options))} ;;\n`);
  const words = places.map(({ path, commands, argument }) => {
    return `    ${quoted(path)}) ${offer(commands.length > 0 ? commands.map(({ name }) => name) : argument)} ;;\n`;
  });
  return `# kvmclock completion bash: source it, or keep it in ~/.local/share/bash-completion/completions/kvmclock
_kvmclock() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]} place='' at
  # bash takes "--host=kvm" for three words
  if [[ $word == '=' ]]; then word=''; elif [[ $before == '=' ]]; then before=\${COMP_WORDS[COMP_CWORD - 2]}; fi
  COMPREPLY=()
  for ((at = 1; at < COMP_CWORD; at++)); do
    case "$place \${COMP_WORDS[at]}" in
    ${ways(places)}) place="\${place:+$place }\${COMP_WORDS[at]}" ;;
    *) break ;;
    esac
  done
  case "$place $before" in
${valueCases(places, offer)}  esac
  if [[ $word == -* ]]; then
    case "$place" in
${options.join('')}    esac
  else
    case "$place" in
${words.join('')}    esac
  fi
}
complete -F _kvmclock kvmclock
`;
}

function zsh(places: readonly Place[]): string {
  const offer = (of: Offer): string => {
    if (of === 'unknown') return '_message value';
    if (of === 'file') return '_files';
    if (of === 'folder') return '_files -/';
    return `compadd -- ${of.map(quoted).join(' ')}`;
  };
  const described = (list: readonly (readonly [string, string])[]): string =>
    list.map(([name, help]) => quoted(`${name}:${help}`)).join(' ');
  const cases = places.map(({ path, commands, options, argument }) => {
    const flags = described(options.flatMap((option) => option.names.map((name) => [name, option.help] as const)));
    const list = described(commands.map(({ name, summary }) => [name, summary] as const));
    const other = commands.length > 0 ? `list=(${list}); _describe command list` : offer(argument);
    return `    ${quoted(path)})
      if [[ $PREFIX == -* ]]; then list=(${flags}); _describe -o option list
      else ${other}; fi ;;
`;
  });
  return `#compdef kvmclock
# kvmclock completion zsh: keep it as _kvmclock in a folder of $fpath
_kvmclock() {
  local place='' at
  local -a list
  for ((at = 2; at < CURRENT; at++)); do
    case "$place $words[at]" in
    ${ways(places)}) place="\${place:+$place }$words[at]" ;;
    *) break ;;
    esac
  done
  local before=$words[CURRENT-1]
  if [[ $PREFIX == --*=* ]]; then before=\${PREFIX%%=*}; compset -P '*='; fi
  case "$place $before" in
${valueCases(places, offer)}  esac
  case "$place" in
${cases.join('')}  esac
}
if [[ $funcstack[1] == _kvmclock ]]; then _kvmclock "$@"; else compdef _kvmclock kvmclock; fi
`;
}

function fish(places: readonly Place[]): string {
  const offer = (of: Offer): string => {
    if (of === 'unknown') return '-x';
    if (of === 'file') return '-r -F';
    if (of === 'folder') return "-x -a '(__fish_complete_directories)'";
    return `-x -a ${fishQuoted(of.join(' '))}`;
  };
  const lines = places.flatMap(({ path, commands, options, argument }) => {
    const start = `complete -c kvmclock -n ${fishQuoted(`__kvmclock_at ${fishQuoted(path)}`)}`;
    const other =
      argument === 'file' ? [`${start} -F`] : Array.isArray(argument) ? [`${start} ${offer(argument)}`] : [];
    return [
      ...commands.map(({ name, summary }) => `${start} -a ${name} -d ${fishQuoted(summary)}`),
      ...options.map(({ names: [long, short], help, value }) => {
        const name = `-l ${long!.slice(2)}${short === undefined ? '' : ` -s ${short.slice(1)}`}`;
        return `${start} ${name}${value === undefined ? '' : ` ${offer(value)}`} -d ${fishQuoted(help)}`;
      }),
      ...other,
    ];
  });
  const all = places.flatMap(({ path, commands }) => commands.map(({ name }) => fishQuoted(`${path} ${name}`)));
  return `# kvmclock completion fish: keep it as ~/.config/fish/completions/kvmclock.fish
function __kvmclock_at
    set -l place ''
    for word in (commandline -opc)[2..-1]
        contains -- "$place $word" ${all.join(' ')}
        or break
        set place (string trim -- "$place $word")
    end
    test "$place" = "$argv[1]"
end
complete -c kvmclock -f
${lines.join('\n')}
`;
}

const fishQuoted = (text: string): string => `'${text.replace(/[\\']/g, '\\$&')}'`;
