"""Decodes an answer so that what one object says wrongly costs no more than that object.

msgspec refuses a whole answer because of one field of another type. The fast way is tried first; where it
fails, the answer is decoded without types and fitted to the wanted type part by part:

- null is empty: the field has its default, and an item of a list that is null is left out;
- a number for a text is that text (YAML writes ``memory: 134217728``), and a text of digits is a number;
- any other value of the wrong type is left out and named, and a list loses only the item it is in.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar, cast

import msgspec
from msgspec import inspect

from memtop.kube.api_errors import Unreadable
from memtop.quantity import parse_whole
from memtop.sanitize import sanitize

T = TypeVar("T")

JSON_ERRORS = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError)
"""All that decoding somebody else's JSON can raise: it is none, is of another type, is not UTF-8 (which
msgspec sees only when it makes a string), is nested too deep, or holds a number without end."""
MAX_NAMED = 3
"""Parts of one object that are named as unread; the first ones say enough."""
_UNREAD_FIELD = "unreadable"
UNREAD_NAME = "(unread)"
"""What that field is called on the wire: nothing that a server sends."""
_EMPTY = object()
"""Stands for a value that is to be left out, so that the field gets its default."""


class _DoesNotFit(Exception):  # noqa: N818  (handled where the value can be left out)
    """A value is not of its type, and neither is a part of it what can be left out."""


def decode_lenient(raw: bytes | msgspec.Raw, kind: type[T], what: str) -> T:
    """Decodes JSON as `kind`, leaving out what in it is of another type.

    A struct with a field ``unreadable`` gets the paths of what was left out, such as ``status.conditions``.

    Args:
        raw: One JSON value.
        kind: A struct.
        what: What is read, for the sentence.

    Raises:
        Unreadable: It is no JSON, or what makes it such an object (its name) is not there.
    """
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError:
        pass
    except RecursionError as error:
        raise Unreadable(f"{what} cannot be read: it is nested too deep") from error
    except JSON_ERRORS as error:
        if not is_whole(raw):
            raise Unreadable(f"{what} cannot be read: {error}") from error
    try:
        found = json.loads(bytes(raw).decode("utf-8", "replace"), strict=False)
        fitting = _Fitting()
        value = fitting.fit(found, _type_of(cast("Hashable", kind)))
        if isinstance(value, dict) and _has_unread(kind) and fitting.unread:
            value = {**value, UNREAD_NAME: fitting.unread[:MAX_NAMED]}
        return msgspec.convert(value, kind)
    except _DoesNotFit as error:
        raise Unreadable(f"{what} cannot be read: {error}") from error
    except JSON_ERRORS as error:
        raise Unreadable(f"{what} cannot be read: {sanitize(str(error))}") from error


def is_whole(raw: bytes | msgspec.Raw) -> bool:
    """Whether it is a complete JSON value, as far as its brackets tell."""
    try:
        msgspec.json.decode(raw, type=msgspec.Raw)
    except JSON_ERRORS:
        return False
    return True


@lru_cache(maxsize=64)
def _type_of(kind: Hashable) -> inspect.Type:
    return inspect.type_info(kind)


def _has_unread(kind: type) -> bool:
    return _UNREAD_FIELD in getattr(kind, "__struct_fields__", ())


class _Fitting:
    """Fits decoded JSON to a type.

    Attributes:
        unread: Paths of what was left out because it is of another type.
    """

    def __init__(self) -> None:
        self.unread: list[str] = []
        self._path: list[str] = []

    def fit(self, value: object, kind: inspect.Type) -> object:
        """The value as `msgspec.convert` takes it, `_EMPTY` for null.

        Raises:
            _DoesNotFit: It is of another type.
        """
        if value is None:
            return _EMPTY
        match kind:
            case inspect.UnionType(types):
                return self._one_of(value, types)
            case inspect.StructType():
                return self._struct(value, kind)
            case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
                return self._items(value, item)
            case inspect.DictType(value_type=part):
                return self._entries(value, part)
            case inspect.RawType():
                return msgspec.Raw(json.dumps(value).encode())
            case inspect.AnyType():
                return value
            case _:
                return self._scalar(value, kind)

    def _one_of(self, value: object, types: tuple[inspect.Type, ...]) -> object:
        wanted = [one for one in types if not isinstance(one, inspect.NoneType)]
        return self.fit(value, wanted[0])

    def _struct(self, value: object, kind: inspect.StructType) -> object:
        if not isinstance(value, Mapping):
            raise self._misfit(value, "an object")
        found: dict[str, object] = {}
        for field in kind.fields:
            name = field.encode_name
            with self._at(name):
                part = self._part(value.get(name), field.type, required=field.required)
            if part is not _EMPTY:
                found[name] = part
            elif field.required:
                raise self._misfit(None, name)
        return found

    def _items(self, value: object, item: inspect.Type) -> object:
        if not isinstance(value, list):
            raise self._misfit(value, "a list")
        parts = [self._part(part, item) for part in value]
        return [part for part in parts if part is not _EMPTY]

    def _entries(self, value: object, part_type: inspect.Type) -> object:
        if not isinstance(value, Mapping):
            raise self._misfit(value, "an object")
        found: dict[str, object] = {}
        for key, part in value.items():
            with self._at(str(key)):
                fitted = self._part(part, part_type)
            if fitted is not _EMPTY:
                found[_clean(str(key))] = fitted
        return found

    def _part(self, value: object, kind: inspect.Type, *, required: bool = False) -> object:
        """A part that can be left out; what makes the whole an object of its kind cannot."""
        try:
            return self.fit(value, kind)
        except _DoesNotFit:
            if required:
                raise
            self.unread.append(".".join(self._path))
            return _EMPTY

    def _scalar(self, value: object, kind: inspect.Type) -> object:
        wanted: Any
        match kind:
            case inspect.StrType():
                if isinstance(value, str):
                    return _clean(value)
                if isinstance(value, float) and value.is_integer():
                    return str(int(value))
                if isinstance(value, int | float) and not isinstance(value, bool):
                    return str(value)
                raise self._misfit(value, "a text")
            case inspect.IntType():
                wanted = int
                if isinstance(value, str) and (number := parse_whole(value)) is not None:
                    return number
                if isinstance(value, float) and value.is_integer():
                    return int(value)
            case inspect.FloatType():
                wanted = float
            case inspect.BoolType():
                wanted = bool
            case inspect.DateTimeType():
                wanted = datetime
            case _:
                raise self._misfit(value, "of the wanted type")
        try:
            return msgspec.convert(value, wanted)
        except msgspec.ValidationError as error:
            raise self._misfit(value, wanted.__name__) from error

    @contextmanager
    def _at(self, name: str) -> Iterator[None]:
        self._path.append(sanitize(name))
        try:
            yield
        finally:
            self._path.pop()

    def _misfit(self, value: object, wanted: str) -> _DoesNotFit:
        where = ".".join(self._path) or "it"
        if value is None:
            return _DoesNotFit(f"{where} lacks its {wanted}" if self._path else f"it lacks its {wanted}")
        return _DoesNotFit(f"{where} is {type(value).__name__}, not {wanted}")


def _clean(text: str) -> str:
    """Without halves of surrogate pairs, which no terminal and no file takes."""
    return text.encode("utf-8", "replace").decode()
