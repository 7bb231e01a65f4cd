"""Values that somebody gave, merged and checked by pydantic-settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from config.errors import ConfigError, did_you_mean
from config.layers import Given, Layer, place, source
from config.options import Option, options
from config.settings import Cluster, Demo, Logs, Observe, Prometheus, Safety, Settings, Ui, Watch


def check(layers: Sequence[Layer]) -> Settings:
    """The settings that several places add up to.

    Args:
        layers: The strongest first.

    Raises:
        ConfigError: A value in any of them is wrong, also one that a stronger one overrules.
    """
    for layer in layers:
        try:
            _Checked.from_sources(layer)  # each alone, so that no mistake hides behind a stronger value
        except ValidationError as error:
            raise _sentence(error.errors(include_url=False)[0], layer) from None
    found = _Checked.from_sources(*layers)
    return Settings(**{field.name: getattr(found, field.name) for field in fields(Settings)})


def settings_from(tables: Mapping[str, Mapping[str, Any]]) -> Settings:
    """Settings from values at hand, as the file would give them.

    Args:
        tables: By section and field.

    Raises:
        ConfigError: A value is wrong.
    """
    known = {(option.section, option.field): option for option in options()}
    given: dict[tuple[str, ...], Given] = {}
    for section, table in tables.items():
        for field, value in table.items():
            key = f"{section}.{field}"
            if known[section, field].kind == "table":
                given.update({(section, field, item): Given(one, key) for item, one in value.items()})
            else:
                given[section, field] = Given(value, key)
    return check([Layer(given)])


class _Checked(BaseSettings):
    """`config.settings.Settings`, as pydantic-settings puts it together."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    cluster: Cluster = Cluster()
    observe: Observe = Observe()
    prometheus: Prometheus = Prometheus()
    logs: Logs = Logs()
    safety: Safety = Safety()
    watch: Watch = Watch()
    ui: Ui = Ui()
    demo: Demo = Demo()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is given counts: `config.layers` reads variables and files, since it knows the lines."""
        return (init_settings,)

    @classmethod
    def from_sources(cls, *layers: Layer) -> _Checked:
        """Merges layers, the strongest first.

        Raises:
            pydantic.ValidationError: A value is wrong.
        """
        sources = tuple(_Source(layer) for layer in layers)
        return cls(_build_sources=(sources, {}))  # type: ignore[call-arg]  # hidden by dataclass_transform


class _Source(PydanticBaseSettingsSource):
    """One layer as pydantic-settings asks for it."""

    def __init__(self, layer: Layer) -> None:
        super().__init__(_Checked)
        self._layer = layer

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The values of one section."""
        return self().get(field_name), field_name, True

    def __call__(self) -> dict[str, Any]:
        """The values of all sections."""
        return self._layer.tables()


def _sentence(error: ErrorDetails, layer: Layer) -> ConfigError:
    """One sentence for one finding of pydantic's."""
    location = tuple(str(part) for part in error["loc"])
    option = next(option for option in options() if (option.section, option.field) == location[:2])
    path = location[:3] if option.kind == "table" else location[:2]
    shown = "the value" if option.is_secret else repr(option.shown(error["input"]))
    return ConfigError(f"{place(source(path, [layer]), '.'.join(path))}: {shown} {_problem(error, option)}")


def _problem(error: ErrorDetails, option: Option) -> str:
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    if error["type"] == "literal_error":
        given = error["input"]
        meant = did_you_mean(given, option.choices) if isinstance(given, str) else ""
        return f"is not one of {', '.join(option.choices)}{meant}"
    return f"is wrong: {error['msg'][:1].lower()}{error['msg'][1:]}"
