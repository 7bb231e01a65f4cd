"""Completion scripts for bash, zsh and fish, from the same tables as the help."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from string import Template

from config.commands import BY_NAME, ONE_SHOT, Command
from config.flags import Entry, common_entries, own_entries, setting_entries, typed_commands

SHELLS = BY_NAME["completion"].choices

_BASH = Template("""\
# Completion of memtop for bash. Use it with: source <(memtop completion bash)
_memtop() {
    local word previous= command= i
    local current=$${COMP_WORDS[COMP_CWORD]}
    local -a candidates=()
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=$${COMP_WORDS[i]}
        case $$previous in
            $with_value) ;;
            *) [[ $$word == -* ]] || command=$${command:+$$command }$$word ;;
        esac
        previous=$$word
    done
    case "$$command,$$previous" in
$values
    esac
    if [[ "|$with_value|" == *"|$$previous|"* ]]; then
        COMPREPLY=($$(compgen -W "$${candidates[*]}" -- "$$current"))
        return
    fi
    if [[ $$current == -* ]]; then
        candidates=(
            $common
        )
        case $$command in
$flags
        esac
    else
        case $$command in
$words
        esac
    fi
    COMPREPLY=($$(compgen -W "$${candidates[*]}" -- "$$current"))
}
# Where nothing is offered, bash offers files.
complete -o default -F _memtop memtop kubectl-memtop""")

_ZSH = Template("""\
#compdef memtop kubectl-memtop
# Completion of memtop for zsh. Use it with: source <(memtop completion zsh)
_memtop() {
    local command= word previous= i
    for ((i = 2; i < CURRENT; i++)); do
        word=$${words[i]}
        case $$previous in
            $with_value) ;;
            *) [[ $$word == -* ]] || command="$${command:+$$command }$$word" ;;
        esac
        previous=$$word
    done
    local -a common=(
$common
    )
    case $$command in
$commands
    esac
}
compdef _memtop memtop kubectl-memtop""")


def script(shell: str) -> str:
    """The completion script for a shell.

    Args:
        shell: One of `SHELLS`.
    """
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell]()


def _shared() -> list[Entry]:
    return setting_entries() + common_entries()


def _first_words() -> list[str]:
    """What can follow ``memtop``: the first words of the commands."""
    return list(dict.fromkeys(command.name.split()[0] for command in typed_commands()))


def _next_words() -> dict[str, list[str]]:
    """What can follow the words typed so far: a command's other words, or its arguments."""
    following: dict[str, list[str]] = {"": _first_words()}
    for command in typed_commands():
        first, *rest = command.name.split()
        if rest:
            following.setdefault(first, []).append(rest[0])
        if command.choices:
            following[command.name] = list(command.choices)
    following["help"] = [word for word in following[""] if word != "help"]
    return following


def _places() -> list[tuple[Command, str]]:
    """The commands that have flags of their own, and the words they are known by; none for the screen."""
    return [(ONE_SHOT, "")] + [(command, command.name) for command in typed_commands()]


def _with_value() -> str:
    """The spellings of all flags that a value follows, as a shell pattern."""
    everything = _shared() + [entry for command, _ in _places() for entry in own_entries(command)]
    return "|".join(
        dict.fromkeys(spelling for entry in everything if entry.metavar for spelling in entry.spellings)
    )


# bash


def _bash() -> str:
    values, flags = [], []
    for command, name in [(None, "*"), *_places()]:
        entries = _shared() if command is None else own_entries(command)
        values += [_bash_value(name, entry) for entry in entries if entry.choices]
        if command is not None and entries:
            flags.append(f'            "{name}") candidates+=({_names(entries)}) ;;')
    words = [
        f'            "{typed}") candidates=({" ".join(after)}) ;;' for typed, after in _next_words().items()
    ]
    return _BASH.substitute(
        with_value=_with_value(),
        values="\n".join(values),
        common=_names(_shared()),
        flags="\n".join(flags),
        words="\n".join(words),
    )


def _names(entries: Iterable[Entry]) -> str:
    return " ".join(entry.long for entry in entries)


def _bash_value(command: str, entry: Entry) -> str:
    place = command if command == "*" else f'"{command}"'
    pattern = "|".join(f"{place},{spelling}" for spelling in entry.spellings)
    return f"        {pattern}) candidates=({' '.join(entry.choices)}) ;;"


# zsh


def _zsh() -> str:
    commands = []
    after = _next_words()
    for command, name in _places():
        pattern = f'"{name}"*' if command.at_most is None else f'"{name}"'
        own = [_zsh_flag(entry) for entry in own_entries(command)]
        commands.append(_zsh_case(pattern, own, _zsh_words(after.get(name, []), files=command.files)))
    groups = [words for words in after if words and words not in BY_NAME]
    commands += [_zsh_case(f'"{words}"', [], _zsh_words(after[words], files=False)) for words in groups]
    return _ZSH.substitute(
        with_value=_with_value(),
        common="\n".join(f"        {_zsh_flag(entry)}" for entry in _shared()),
        commands="\n".join(commands),
    )


def _zsh_case(pattern: str, own: list[str], words: str) -> str:
    return f"        {pattern}) _arguments {' '.join(['$common', *own, words])} ;;"


def _zsh_words(words: list[str], *, files: bool) -> str:
    if files:
        return "'*:file:_files'"
    return shlex.quote(f"*:word:({' '.join(words)})") if words else "'*: :'"


def _zsh_flag(entry: Entry) -> str:
    text = entry.help.replace("[", "(").replace("]", ")").replace(":", "\\:")
    action = "_files" if entry.files else f"({' '.join(entry.choices)})" if entry.choices else ""
    value = f":{entry.metavar.lower()}:{action}" if entry.metavar else ""
    return " ".join(shlex.quote(f"*{spelling}[{text}]{value}") for spelling in entry.spellings)


# fish


def _fish() -> str:
    lines = ["# Completion of memtop for fish. Use it with: memtop completion fish | source"]
    lines += ["complete -c memtop -f", *(_fish_flag(entry, "") for entry in _shared())]
    first = " ".join(_first_words())
    for command, name in _places():
        seen = (
            f"__fish_seen_subcommand_from {name.split()[-1]}"
            if name
            else f"not __fish_seen_subcommand_from {first}"
        )
        lines += [_fish_flag(entry, seen) for entry in own_entries(command)]
        if name and len(name.split()) == 1:
            lines.append(_fish_word(name, f"not __fish_seen_subcommand_from {first}", command.summary))
        if command.files:
            lines.append(f"complete -c memtop -n {shlex.quote(seen)} -F")
    for words, after in _next_words().items():
        if not words:
            continue
        unseen = f"__fish_seen_subcommand_from {words}; and not __fish_seen_subcommand_from {' '.join(after)}"
        if words not in BY_NAME:
            lines.append(_fish_word(words, f"not __fish_seen_subcommand_from {first}", ""))
        lines += [_fish_word(word, unseen, "") for word in after]
    return "\n".join([*lines, "complete -c kubectl-memtop -w memtop"])


def _fish_flag(entry: Entry, condition: str) -> str:
    parts = ["complete -c memtop", "-l", entry.long.removeprefix("--")]
    if entry.short:
        parts += ["-s", entry.short.removeprefix("-")]
    if condition:
        parts += ["-n", shlex.quote(condition)]
    if entry.metavar:
        parts.append("-r")
    parts.append("-F" if entry.files else "-f")
    if entry.choices:
        parts += ["-a", shlex.quote(" ".join(entry.choices))]
    return " ".join([*parts, "-d", _fish_quoted(entry.help)])


def _fish_word(word: str, condition: str, text: str) -> str:
    return f"complete -c memtop -f -n {shlex.quote(condition)} -a {word} -d {_fish_quoted(text)}"


def _fish_quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
