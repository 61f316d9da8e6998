"""The table of verbs: what is printed of their results, and where errors become exit codes.

Imports nothing heavy: a verb loads when it is called. A verb is a function in ``commands/``; what all have in common is
here: one that takes a ``device`` has ``--device``, one that takes an ``adapter`` has ``--adapter``, one that returns a
result has ``--json``, and one that shows how it goes takes ``live``, the console to show it on, which is there unless a
program waits for JSON.
"""

import atexit
import functools
import gc
import inspect
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, Union, get_args, get_origin, get_type_hints

from cyclopts import (
    App,
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    Parameter,
    RepeatArgumentError,
    Token,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)
from cyclopts.argument import Argument

from textwright.core.collecting import without_collecting
from textwright.core.errors import InputError, TextwrightError, nearest, unknown_name
from textwright.core.kinds import words_of
from textwright.core.renamed import new_option
from textwright.core.result import Result
from textwright.core.user_paths import explain_os_error

if TYPE_CHECKING:
    from pydantic import ValidationError

# verb -> (where its function is, its line in the help)
VERBS: dict[str, tuple[str, str]] = {
    "demo": ("demo:demo", "The main job end to end on real text, with nothing to download."),
    "train": ("train:train", "Train a model on text: a new run, or one resumed."),
    "finetune": ("finetune:finetune", "Teach a trained model more: texts, pairs or chats."),
    "plan": ("plan:plan", "See what a run would take: tokens, memory, disk, time."),
    "verify": ("verify:verify", "Check every byte of a run against what was written."),
    "evaluate": ("evaluate:evaluate", "Measure a model on a text or a task."),
    "score": ("score:score", "Judge the predictions of any system."),
    "compare-scores": ("compare_scores:compare_scores", "Say whether one system is better than another."),
    "report": ("report:report", "Make the report of a run or an evaluation, or of several side by side."),
    "generate": ("generate:generate", "Continue prompts."),
    "chat": ("chat:chat", "Talk with a model."),
    "doctor": ("doctor:doctor", "See what this machine is, and whether everything holds on it."),
    "embed": ("embed:embed", "Turn texts into vectors."),
    "classify train": ("classify:train", "Train a classifier on a model's vectors."),
    "classify apply": ("classify:apply", "Say what kind texts are."),
    "cluster train": ("cluster:train", "Find clusters of texts."),
    "cluster apply": ("cluster:apply", "Say to which clusters texts belong."),
    "tokenizer train": ("tokenizer:train_tokenizer", "Train a tokenizer on text."),
    "tokenizer inspect": ("tokenizer:inspect_tokenizer", "See how a tokenizer cuts a text."),
    "tokenizer check": ("tokenizer:check_tokenizer", "See how a tokenizer's folder is obeyed."),
    "bench train": ("bench:train", "Compare our training step with Hugging Face's, and with the machine."),
    "bench generate": ("bench:generate", "Compare our decoding on a CPU with others', and with the machine."),
    "task list": ("task:list_tasks", "List the tasks."),
    "task show": ("task:show", "See examples of a task."),
    "task pairs": ("task:pairs", "Make pairs to train on of a task's examples."),
    "runs list": ("runs:list_runs", "List the runs in a folder."),
    "runs watch": ("runs:watch", "Watch a run that trains in another terminal."),
    "runs disk": ("runs:disk", "Show what runs take on disk."),
    "runs delete": ("runs:delete", "Delete a run."),
}
GROUPS = {
    "classify": "Train classifiers on a model's vectors, and apply them.",
    "cluster": "Find clusters of texts by a model's vectors, and say where others belong.",
    "bench": "Measure this machine, and ourselves beside others.",
    "tokenizer": "Train, inspect and check tokenizers.",
    "task": "List tasks, see their examples, and make pairs of them to train on.",
    "runs": "List, watch, measure and delete runs.",
}
FILES_OF_TEXT = ("--data", "--val-data", "--text", "")
"""What files of text stand after; the last is no option at all."""
Device = Annotated[str, Parameter(help="auto, cpu or cuda.")]
Adapter = Annotated[Path | None, Parameter(help="A folder with an adapter (a LoRA in PEFT's format) for the model.")]
Json = Annotated[bool, Parameter(help="Print one JSON object on standard output; progress stays on standard error.")]


def build_app() -> App:
    """The command line: one cyclopts app whose verbs are imported on use."""
    app = App(
        name="textwright",
        help="From raw text to a text generator you can trust, on the machine you have.",
        version=_version,
        help_format="plaintext",
        result_action="return_value",
        exit_on_error=False,
        print_error=False,
        suppress_keyboard_interrupt=False,
        # Nobody asks for an empty list in words, and that there is none by default goes without saying.
        default_parameter=Parameter(negative_iterable=(), show_default=_default_shown),
    )
    groups = {name: App(name=name, help=text, help_format="plaintext") for name, text in GROUPS.items()}
    for group in groups.values():
        app.command(group)
    for verb, (_, text) in VERBS.items():
        group_name, _, name = verb.rpartition(" ")
        # By its place, so that it is imported on use: see ``__getattr__``.
        (groups[group_name] if group_name else app).command(
            f"{__name__}:{verb}", name=name, help=text, help_format="plaintext"
        )
    return app


def _version() -> str:
    from textwright import __version__

    return str(__version__)


def _default_shown(value: Any) -> Any:
    return None if value in ((), None) else value


def __getattr__(name: str) -> Callable[..., int]:
    """The command of a row of the table, ready for the command line: ``getattr(cli, "runs list")``."""
    if name not in VERBS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, function = VERBS[name][0].partition(":")
    with without_collecting():
        command = getattr(import_module(f"textwright.commands.{module}"), function)
    return _for_command_line(command)


def _for_command_line(command: Callable[..., Result | None]) -> Callable[..., int]:
    """The command with the options that commands have in common; it prints its result and returns the exit code."""
    hints = get_type_hints(command, include_extras=True)
    parameters = dict(inspect.signature(command).parameters)
    is_live = parameters.pop("live", None) is not None
    if "device" in parameters:
        hints["device"] = Device
    if "adapter" in parameters:
        hints["adapter"] = Adapter
    if hints["return"] is not NoneType:
        hints["json"] = Json
        parameters["json"] = inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=False)

    @functools.wraps(command)
    def run(*arguments: Any, json: bool = False, **options: Any) -> int:
        from textwright.core.console import stdout_console

        if is_live and not json:
            options["live"] = stdout_console()
        result = command(*arguments, **options)
        if result is None:
            return 0
        if json:
            stdout_console().write_json(result.as_json())
        else:
            result.show()
        return result.exit_code

    run.__annotations__ = {**hints, "return": int}
    run.__signature__ = inspect.Signature(list(parameters.values()))  # type: ignore[attr-defined]
    return run


def main() -> None:
    """Run one command. Exit code 0, or 2 for the user's mistake (one line), 130 after Ctrl-C, a traceback for ours."""
    arguments = sys.argv[1:]
    # One thread pool a process; oneDNN and the tokenizers' own pools only get in each other's way.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    atexit.register(gc.freeze)  # at the end the system takes all memory back: looking through it takes half a second
    try:
        _check_verb(arguments)
        code = build_app()(list(_with_standard_input(arguments)))
        sys.exit(code if isinstance(code, int) else 0)
    except TextwrightError as error:
        _fail(str(error), error.exit_code, arguments)
    except CycloptsError as error:
        _fail(_in_one_line(error), 2, arguments)
    except KeyboardInterrupt as stop:
        number = stop.args[0] if stop.args else signal.SIGINT
        _fail("stopped at once" if stop.args else "stopped by Ctrl-C", 128 + number, arguments)
    except BrokenPipeError:
        # The reader of our output has left (`textwright ... | head`); nothing of ours is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except UnicodeEncodeError as error:
        # Python holds bytes of the command line that are not UTF-8 as surrogates, which are no text.
        _fail(f"{error.object[:80]!r} is not UTF-8; expected UTF-8 text", 2, arguments)
    except Exception as error:
        explained = explain_os_error(error) if isinstance(error, OSError) else None
        if explained is not None:
            _fail(str(explained), explained.exit_code, arguments)
        from textwright.core.console import stderr_console

        # Ours. What it quotes, such as a file's name, must not command the terminal either.
        stderr_console().write(traceback.format_exc())
        _fail(f"a bug of ours: {type(error).__name__}; please report what is above", 1, arguments)


def _with_standard_input(arguments: list[str]) -> Iterator[str]:
    """The arguments, a dash among files of text as the file that it means; elsewhere it is an option without a name."""
    option = "" if arguments[:2] == ["tokenizer", "train"] else "none"
    for argument in arguments:
        option = argument if argument.startswith("--") else option
        yield "/dev/stdin" if argument == "-" and option in FILES_OF_TEXT else argument


def _check_verb(arguments: list[str]) -> None:
    """A mistyped verb is answered with the nearest one, before anything is parsed."""
    verb = arguments[0] if arguments else ""
    known = {name.split(" ")[0] for name in VERBS}
    if verb and not verb.startswith("-") and verb not in known:
        raise unknown_name("verb", verb, known)
    if verb in GROUPS:
        inner = {name.split(" ")[1] for name in VERBS if name.startswith(f"{verb} ")}
        if len(arguments) > 1 and not arguments[1].startswith("-") and arguments[1] not in inner:
            raise unknown_name(f"verb of {verb}", arguments[1], inner)


def _in_one_line(error: CycloptsError) -> str:
    """What is wrong with an argument: what was given, what is expected, and the nearest that there is."""
    from pydantic import ValidationError

    command = " ".join(error.command_chain or ())
    match error:
        case UnknownOptionError():
            return _unknown_option((error.token.keyword or error.token.value).partition("=")[0], command, error)
        case MissingArgumentError() if error.argument is not None:
            return _missing(error, error.argument, command)
        case CycloptsError(argument=Argument() as argument, __cause__=ValidationError() as cause):
            return _refused_by_config(cause, argument)
        case CoercionError(token=Token() as token, argument=Argument() as argument, msg=None):
            close = nearest(token.value, _texts_of(argument.hint))
            given = f"{token.keyword or argument.name} {token.value or repr('')}"
            fix = f"did you mean {close!r}?" if close else ""
            return str(InputError(given, expected=_words_of(argument.hint), fix=fix))
        case RepeatArgumentError():
            return str(InputError(f"{error.token.keyword} is given twice", expected="it once"))
        case UnknownCommandError() if error.unused_tokens:  # commands are looked at before: this is an option
            return str(InputError(f"unknown option {error.unused_tokens[0]}", fix=_see_help(command)))
        case UnusedCliTokensError() if error.unused_tokens:
            return str(InputError(f"{error.unused_tokens[0]!r} is one argument too many", fix=_see_help(command)))
    return " ".join(str(error).split())


def _unknown_option(option: str, command: str, error: UnknownOptionError) -> str:
    new = new_option(option)
    if new is not None and _is_option(error, new.partition(" ")[0]):
        return f"{option} is now {new}"
    known = [name for argument in error.argument_collection if argument.parse for name in argument.names]
    close = nearest(option, known, at_least=0.6)
    return str(InputError(f"unknown option {option}", fix=f"did you mean {close}?" if close else _see_help(command)))


def _missing(error: MissingArgumentError, argument: Argument, command: str) -> str:
    """An option without its value, or one that must be there and is not."""
    if error.keyword is not None:
        return str(InputError(f"{error.keyword} without a value", expected=_words_of(argument.hint)))
    mistyped = nearest(argument.name, filter(_has_dashes, error.unused_tokens or ()), at_least=0.6)
    if mistyped is not None:
        return str(InputError(f"unknown option {mistyped}", fix=f"did you mean {argument.name}?"))
    known = error.app.assemble_argument_collection(parse_docstring=True) if error.app is not None else ()
    told = next((one.parameter.help for one in known if one.name == argument.name), None) or _words_of(argument.hint)
    first = told.split(". ")[0].rstrip(".")
    expected = first if first[1:2].isupper() else first[:1].lower() + first[1:]
    return str(InputError(f"{command} without {argument.name}", expected=expected))


def _refused_by_config(cause: "ValidationError", argument: Argument) -> str:
    """What a config class says of a value, with the option's name."""
    from textwright.core.config import expected_of

    first = cause.errors()[0]
    group = argument.name.strip("-*")
    # Of a list's value the list is named: the value is shown.
    parts = [str(part).replace("_", "-") for part in first["loc"] if not isinstance(part, int)]
    path, expected = [*([group] if group else []), *parts], expected_of(first)
    return f"{_option(argument, path)} {first['input']}; expected {expected}" if first["loc"] else expected


def _see_help(command: str) -> str:
    return f"textwright {command} --help shows what there is"


def _has_dashes(token: str) -> bool:
    return token.startswith("--")


def _words_of(hint: Any) -> str:
    """What an option takes, in words; of a list what one value is."""
    words: dict[Any, str] = {bool: "true or false", dict: "NAME=VALUE"}
    kinds = [kind for kind in _kinds_of(hint) if kind is not NoneType]
    return " or ".join(dict.fromkeys(words.get(get_origin(kind) or kind) or words_of(kind) for kind in kinds))


def _texts_of(hint: Any) -> list[str]:
    """The names among what an option takes."""
    kinds = _kinds_of(hint)
    return [one for kind in kinds if get_origin(kind) is Literal for one in get_args(kind) if isinstance(one, str)]


def _kinds_of(hint: Any) -> Iterator[Any]:
    """The kinds of value of an annotation, one by one."""
    if get_origin(hint) in (Union, UnionType, Annotated, tuple, list):
        inner = get_args(hint)
        for one in inner[:1] if get_origin(hint) is Annotated else inner:
            yield from _kinds_of(one)
    elif hint is not Ellipsis:
        yield hint


def _option(argument: Argument, path: list[str]) -> str:
    """The option of a value within a config: groups whose options are the command's own are not in its name."""
    names = {name for child in argument.children for name in _names(child)}
    options = [f"--{'.'.join(path[start:])}" for start in range(len(path))]
    return next((option for option in options if option in names), options[0])


def _names(argument: Argument) -> Iterator[str]:
    yield from argument.names
    for child in argument.children:
        yield from _names(child)


def _is_option(error: UnknownOptionError, option: str) -> bool:
    """Whether the command in question has an option of that name."""
    return any(option in argument.names for argument in error.argument_collection)


def _fail(message: str, code: int, arguments: list[str]) -> NoReturn:
    from textwright.core.console import stderr_console, stdout_console

    if "--json" in arguments:
        stdout_console().write_json({"error": message})
    stderr_console().write(f"textwright: {message}\n")
    sys.exit(code)
