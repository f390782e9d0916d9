"""YAML files that remember their lines, so that every complaint can name the place to mend."""

import difflib
import re
import types
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

Loc = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C is much faster
_NUMBER = re.compile(r"[-+0-9a-fA-FxXob_:.]+")
_MERGE_TAG = "tag:yaml.org,2002:merge"

DEEPEST = 100
"""Levels of a file; PyYAML goes down by recursion, in C without a limit."""
MOST_PARTS = 500_000
"""Of a file, aliases counted as often as they stand for something."""
LONGEST_NUMBER = 1_000
"""Characters; the work for a number grows with the square of its length."""


@dataclass(frozen=True)
class Problem:
    """One thing to mend in a file: where it is and what would be right. Lines and columns count from 1; 0 is
    not known."""

    file: str
    line: int
    path: str
    message: str
    column: int = 0

    @property
    def place(self) -> str:
        """`file:line:column`, as far as it is known."""
        return ":".join([self.file, *(str(number) for number in (self.line, self.column) if number)])

    def __str__(self) -> str:
        where = f"{self.place}: "
        return where + (f"{self.path}: {self.message}" if self.path else self.message)


class WorkspaceError(Exception):
    """Files that can't be used as they are; `problems` holds every reason, in the order of the files."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


@dataclass(frozen=True)
class Scalar:
    """How a text of a YAML file is written there: between which characters, and in which style."""

    start: int
    end: int
    style: str | None


@dataclass(frozen=True)
class Document:
    """The content of one YAML file as plain Python data, with the line of each of its parts."""

    file: str
    data: Any
    lines: dict[Loc, int]
    text: str = ""
    scalars: dict[Loc, Scalar] = field(default_factory=dict)

    def line(self, loc: Loc) -> int:
        """The line (from 1) of the part at `loc`, or of its nearest parent that is written down."""
        while loc and loc not in self.lines:
            loc = loc[:-1]
        return self.lines.get(loc, 1)

    def problem(self, loc: Loc, message: str) -> Problem:
        """A problem with the part at `loc` of this file."""
        return Problem(self.file, self.line(loc), ".".join(map(str, loc)), message)

    def problem_within(self, loc: Loc, value: str, line: int, column: int, message: str) -> Problem:
        """A problem inside the text at `loc`: at a line and column of its value, both from 1.

        YAML folds lines, indents and quotes, so the place in the file is found by counting what it keeps: the
        characters that are no white space.
        """
        scalar = self.scalars.get(loc)
        if scalar is None:
            return self.problem(loc, message)
        lines = value.splitlines(keepends=True)
        before = "".join([*lines[: line - 1], *(part[: column - 1] for part in lines[line - 1 : line])])
        wanted = len("".join(before.split()))
        offset = _offset(self.text, scalar, "".join(value.split()), wanted)
        found_line = self.text.count("\n", 0, offset) + 1
        found_column = offset - self.text.rfind("\n", 0, offset)
        return Problem(self.file, found_line, ".".join(map(str, loc)), message, found_column)


def _offset(text: str, scalar: Scalar, kept: str, wanted: int) -> int:
    """Where the character number `wanted` of `kept` stands in the text, or the end of the scalar."""
    start = scalar.start
    if scalar.style in ("|", ">"):
        start = text.index("\n", start) + 1
    elif scalar.style:
        start += 1
    met, last = 0, start
    for place in range(start, scalar.end):
        if met < len(kept) and text[place] == kept[met]:  # what YAML drops, such as an escape's \\, is passed
            if met == wanted:
                return place
            met, last = met + 1, place + 1
    return last


def did_you_mean(word: object, candidates: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the candidate that is most like `word`, or an empty string."""
    names = {candidate.lower(): candidate for candidate in candidates}
    close = difflib.get_close_matches(str(word).lower(), names, n=1, cutoff=0.6)
    return f"; did you mean '{names[close[0]]}'?" if close else ""


def load_document(path: Path, root: Path | None = None) -> Document:
    """Read a YAML file with the safe loader.

    Problems name the file relative to `root`, or by its bare name. An empty file is an empty mapping.

    Raises:
        WorkspaceError: the file can't be read, is not UTF-8 or not YAML, or a mapping has a key twice.
    """
    file = path.relative_to(root).as_posix() if root else path.name
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise WorkspaceError([Problem(file, 0, "", f"there is no such file in {path.parent}")]) from error
    except UnicodeDecodeError as error:
        raise WorkspaceError([Problem(file, 0, "", f"must be UTF-8 text: {error}")]) from error
    except OSError as error:
        raise WorkspaceError([Problem(file, 0, "", f"can't be read: {error.strerror}")]) from error
    return _read(text, file)


def _read(text: str, file: str) -> Document:
    loader = _Loader(text)
    try:
        _check_shape(text, file)
        root = loader.get_single_node()
        if root is None:
            return Document(file, {}, {(): 1})
        walk = _Walk(file)
        walk.visit(root, ())
        if walk.problems:
            raise WorkspaceError(walk.problems)
        return Document(file, loader.construct_document(root), walk.lines, text, walk.scalars)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = " ".join(filter(None, (error.context, error.problem)))
        raise WorkspaceError(
            [Problem(file, mark.line + 1 if mark else 0, "", f"not YAML: {reason}")]
        ) from error
    except (yaml.YAMLError, ValueError) as error:  # a ValueError comes from a date such as 2026-02-30
        raise WorkspaceError([Problem(file, 0, "", f"not YAML: {error}")]) from error
    finally:
        loader.dispose()


def _check_shape(text: str, file: str) -> None:
    """See that a file can be read without running out of stack or time.

    Raises:
        WorkspaceError: it can't.
    """
    depth = 0
    for event in yaml.parse(text, _Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        message = None
        if depth > DEEPEST:
            message = f"goes deeper than {DEEPEST} levels"
        elif isinstance(event, yaml.ScalarEvent) and _is_long_number(event):
            message = f"is a number of more than {LONGEST_NUMBER} characters: put a text in quotes"
        if message is not None:
            line = event.start_mark.line + 1 if event.start_mark else 0
            raise WorkspaceError([Problem(file, line, "", message)])


def _is_long_number(event: yaml.ScalarEvent) -> bool:
    plain = len(event.value) > LONGEST_NUMBER and event.style not in ("'", '"', "|", ">")
    return plain and _NUMBER.fullmatch(event.value) is not None


class _Walk:
    """Collects the line of each node, and the keys that a mapping has twice."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: dict[Loc, int] = {}
        self.scalars: dict[Loc, Scalar] = {}
        self.problems: list[Problem] = []
        self.parts = 0
        self._open: set[int] = set()

    def visit(self, node: yaml.Node, loc: Loc) -> None:
        self.parts += 1
        if self.parts > MOST_PARTS:
            message = f"stands for more than {MOST_PARTS:,} parts with its aliases"
            raise WorkspaceError([Problem(self.file, 0, "", message)])
        self.lines.setdefault(loc, node.start_mark.line + 1)
        if id(node) in self._open:  # an alias to one of its own parents
            return
        self._open.add(id(node))
        if isinstance(node, yaml.MappingNode):
            self._visit_mapping(node, loc)
        elif isinstance(node, yaml.ScalarNode):
            self.scalars[loc] = Scalar(node.start_mark.index, node.end_mark.index, node.style)
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self.visit(item, (*loc, index))
        self._open.discard(id(node))

    def _visit_mapping(self, node: yaml.MappingNode, loc: Loc) -> None:
        first: dict[str, int] = {}
        for key, value in node.value:
            if key.tag == _MERGE_TAG or not isinstance(key, yaml.ScalarNode):
                continue
            here, line = (*loc, key.value), key.start_mark.line + 1
            if key.value in first:
                message = f"stands here for the second time, first in line {first[key.value]}"
                self.problems.append(Problem(self.file, line, ".".join(map(str, here)), message))
                continue
            first[key.value] = line
            self.lines[here] = line
            self.visit(value, here)


def parse(document: Document, model: type[Model]) -> Model:
    """Validate a document's data as a pydantic model.

    Raises:
        WorkspaceError: with one problem for each of pydantic's complaints.
    """
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        problems = [_problem(document, model, details) for details in error.errors(include_url=False)]
        raise WorkspaceError(problems) from error


def _problem(document: Document, model: type[BaseModel], details: ErrorDetails) -> Problem:
    loc = _written(document.data, details["loc"])
    kind, value = details["type"], details["input"]
    if kind == "missing":
        name = details["loc"][-1]
        return document.problem(loc, f"'{name}' is missing")
    if kind == "extra_forbidden":
        owner = _model_at(model, loc[:-1])
        names = [field.alias or name for name, field in owner.model_fields.items()] if owner else []
        known = f" ({', '.join(names)})" if names else ""
        return document.problem(loc, f"is not a known key here{known}{did_you_mean(loc[-1], names)}")
    message = details["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    if kind in {"literal_error", "enum"}:
        choices = re.findall(r"'([^']*)'", str(details.get("ctx", {}).get("expected", "")))
        return document.problem(loc, f"{message}, not {_shown(value)}{did_you_mean(value, choices)}")
    if kind == "value_error":
        return document.problem(loc, message)
    message = message.split(", unable to")[0]
    hint = " (put it in quotes)" if kind == "string_type" and isinstance(value, bool | int | float) else ""
    return document.problem(loc, f"{message}, not {_shown(value)}{hint}")


def _shown(value: object) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _written(data: Any, loc: Loc) -> Loc:
    """The part of pydantic's location that is in the file, without its notes on unions and functions."""
    written: list[str | int] = []
    for part in loc:
        mapped = isinstance(data, dict) and part in data
        if mapped or (isinstance(data, list) and isinstance(part, int) and part < len(data)):
            data = data[part]
            written.append(part)
    return tuple(written)


def _model_at(model: type[BaseModel], loc: Loc) -> type[BaseModel] | None:
    """The pydantic model that describes the mapping at `loc`."""
    reached: list[Any] = [model]
    for part in loc:
        reached = [inner for outer in reached for inner in _step(outer, part)]
    return next((kind for kind in reached if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _step(kind: Any, part: str | int) -> Iterator[Any]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            if part in (name, field.alias):
                yield from _alternatives(field.annotation)
        return
    arguments = get_args(kind)
    if arguments:  # dict[key, value], list[item], tuple[item, ...]
        yield from _alternatives(arguments[1] if get_origin(kind) is dict else arguments[0])


def _alternatives(kind: Any) -> Iterator[Any]:
    origin = get_origin(kind)
    if origin is Annotated:
        yield from _alternatives(get_args(kind)[0])
    elif origin in (Union, types.UnionType):
        for inner in get_args(kind):
            yield from _alternatives(inner)
    else:
        yield kind
