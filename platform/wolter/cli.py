"""Command line entry point: `wolter COMMAND [OPTIONS]`.

Exit codes: 0 done, 1 failed, 2 bad usage or bad input (one line on standard error).
"""

import contextlib
import importlib
import io
import os
import sys
from collections.abc import Sequence
from typing import Protocol, cast

from wolter.commands import all_commands
from wolter.errors import InputError
from wolter.files import why_full
from wolter.memory import keep_freed, kept_for_good
from wolter.reasons import told
from wolter.terminal import ours_alone


class Command(Protocol):
    """A frozen dataclass whose fields are the command's options."""

    def run(self) -> int:
        """Run the command; returns the exit code."""


USAGE, FAILED = 2, 1


def overview() -> str:
    """The text of `wolter --help`."""
    lines = [f"  {name:<18} {about}" for name, (_, about) in all_commands().items()]
    return "\n".join(
        [
            "usage: wolter COMMAND [OPTIONS]",
            "",
            "A distributed data-and-training platform on Ray for X-ray astronomy.",
            "",
            "commands:",
            *lines,
            "",
            "`wolter COMMAND --help` lists a command's options with units and defaults;",
            "`wolter config COMMAND` writes them as TOML, which --config FILE reads;",
            "--debug shows the traceback of an error; --version prints the version.",
        ]
    )


def find(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """Split arguments into the command's name and its options.

    Raises:
        InputError: there is no such command.
    """
    commands = all_commands()
    for words in (2, 1):
        name = " ".join(arguments[:words])
        if name in commands:
            return name, list(arguments[words:])
    raise InputError(
        f"unknown command {' '.join(arguments[:2])!r}; choose one of: {', '.join(commands)}"
    )


def load(name: str, arguments: Sequence[str]) -> type[Command]:
    """The config class of a command; its options may depend on the arguments."""
    module = importlib.import_module(all_commands()[name][0])
    if hasattr(module, "command"):
        return cast("type[Command]", module.command(arguments))
    return cast("type[Command]", module.COMMAND)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code."""
    try:
        return _main(arguments)
    except OSError as error:  # of our own printing: all other errors are reported at their source
        if not why_full(error):
            raise
        print(f"wolter: error: standard output: {why_full(error)}; make room", file=sys.stderr)
        _print_no_more()
        return FAILED


def _main(arguments: Sequence[str] | None) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):  # a log file shows each line as it is printed
        sys.stdout.reconfigure(line_buffering=True)
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    if not words or words[0] in ("-h", "--help"):
        print(overview())
        return 0 if words else USAGE
    if words[0] == "--version":
        from wolter import __version__

        print(f"wolter {__version__}")
        return 0
    keep_freed()
    with contextlib.nullcontext() if debug else ours_alone():
        return _run(words, debug, own_process=arguments is None)


def _run(words: list[str], debug: bool, own_process: bool) -> int:
    try:
        if words[0] == "config":
            return _config(words[1:])
        from wolter.commands import config_file

        name, rest = find(words)
        rest, file = config_file.split(rest)
        values = {} if file is None else config_file.read(file)
        rest = config_file.with_family(rest, values)
        with kept_for_good() if own_process else contextlib.nullcontext():
            options = load(name, rest)
        command = config_file.parse(options, rest, f"wolter {name}", values, file)
        return command.run()
    except BrokenPipeError:  # the reader of our output has what it wanted
        _print_no_more()
        return 0
    except KeyboardInterrupt:
        return _fail("interrupted", 130, debug=False)
    except Exception as error:
        ours = told(error)
        return _fail(str(ours), USAGE if isinstance(ours, InputError) else FAILED, debug)


def _config(words: list[str]) -> int:
    """`wolter config COMMAND [OPTIONS]`."""
    from wolter.commands import config_file

    if not words or words[0].startswith("-"):
        usage = f"wolter config COMMAND; COMMAND is one of: {', '.join(all_commands())}"
        if words[:1] not in (["-h"], ["--help"]):
            raise InputError(f"config: name a command first: {usage}")
        print(f"usage: {usage}")
        return 0
    name, rest = find(words)
    print(config_file.written(load(name, rest), rest, f"wolter {name}"), end="")
    return 0


def _print_no_more() -> None:
    """Discard buffered output, which would fail again as the interpreter ends (exit code 120)."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, code: int, debug: bool) -> int:
    if debug:
        raise
    print(f"wolter: error: {' '.join(message.split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
