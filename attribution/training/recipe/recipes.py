"""Recipes in files, of one run or of several phases of it: those that ship, and one's own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from attribution.training.recipe.config import TrainingConfig
from attribution.training.recipe.head_recipe import HeadRecipe
from attribution.training.recipe.plans import HeadKind

_Model = TypeVar("_Model", bound=BaseModel)
SHIPPED = Path(__file__).parent / "shipped"
"""Folder of the recipes that ship, a documented YAML file each."""


class BadRecipe(ValueError):
    """The file does not hold a training recipe; the message says what is wrong with it."""


class Recipe(BaseModel):
    """Phases of a training, one after the other, and the head that is fitted after the last.

    A phase starts from the averaged weights of the one before. In a file `shared` has the fields
    that all phases have alike; a file without `phases` is one phase without a name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    phases: Mapping[str, TrainingConfig] = Field(min_length=1)
    head: HeadKind | None = None
    """None leaves it to whoever trains."""

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, fields: Any) -> Any:
        if not isinstance(fields, dict) or "phases" not in fields:
            return {"phases": {"": fields}}
        shared, phases = fields.get("shared", {}), fields["phases"]
        if not isinstance(phases, dict) or not isinstance(shared, dict):
            raise ValueError("phases are fields of a run by name, shared such fields")  # noqa: TRY004
        joined = {
            name: shared | (each or {}) if isinstance(each or {}, dict) else each
            for name, each in phases.items()
        }
        return {name: value for name, value in fields.items() if name != "shared"} | {
            "phases": joined
        }

    @model_validator(mode="after")
    def _one_set_of_images(self) -> Recipe:
        for field in ("backbone", "image_side", "held_out", "seed"):
            if len({getattr(phase, field) for phase in self.phases.values()}) > 1:
                raise ValueError(f"{field} differs between phases: give it under shared")
        for name in self.phases:
            if name and not name.replace("-", "").isalnum():
                raise ValueError(f"phase {name!r}: give names of letters, digits and hyphens")
        return self

    @property
    def seed(self) -> int:
        """Of all phases."""
        return self.first.seed

    @property
    def first(self) -> TrainingConfig:
        """The first phase."""
        return next(iter(self.phases.values()))

    @property
    def steps(self) -> int:
        """Of all phases together."""
        return sum(phase.steps for phase in self.phases.values())

    @property
    def widest_scope(self) -> str:
        """What has learnt in any phase."""
        scopes = {phase.scope for phase in self.phases.values()}
        return "full" if "full" in scopes else max(scopes, key=lambda scope: int(scope[5:]))

    def scaled(self, steps: int) -> Recipe:
        """The same in about so many steps, divided among the phases as before."""
        ratio = steps / self.steps
        return self.changed(
            {
                name: phase.scaled(max(1, round(phase.steps * ratio)))
                for name, phase in self.phases.items()
            }
        )

    def changed(self, phases: Mapping[str, TrainingConfig]) -> Recipe:
        """The same with other phases."""
        return self.model_copy(update={"phases": dict(phases)})

    def as_told(self) -> dict[str, Any]:
        """For a card: the run's own fields where there is one phase."""
        told = {name: phase.model_dump(mode="json") for name, phase in self.phases.items()}
        return told[""] if list(told) == [""] else {"phases": told}


def shipped(name: str) -> Path:
    """The file of a recipe that ships."""
    return SHIPPED / f"{name}.yaml"


def read_recipe(path: Path | None) -> Recipe:
    """The recipe of a YAML or JSON file; the default one for None.

    Raises:
        BadRecipe: unreadable, or with a field that is unknown or out of range.
    """
    return Recipe(phases={"": TrainingConfig()}) if path is None else _validated(Recipe, path)


def read_config(path: Path | None) -> TrainingConfig:
    """The same of a file of one phase.

    Raises:
        BadRecipe: as `read_recipe`.
    """
    return TrainingConfig() if path is None else _validated(TrainingConfig, path)


def read_head_recipe(path: Path) -> HeadRecipe:
    """The recipe of a head alone.

    Raises:
        BadRecipe: as `read_recipe`.
    """
    return _validated(HeadRecipe, path)


def _validated(kind: type[_Model], path: Path) -> _Model:
    try:
        return kind.model_validate(_parse(path) or {})
    except ValidationError as error:
        wrong = "; ".join(_complaint(each["loc"], each["msg"]) for each in error.errors())
        raise BadRecipe(f"{path}: {wrong}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise BadRecipe(f"{path}: {error}") from error


def _complaint(place: tuple[int | str, ...], message: str) -> str:
    """Field and what is wrong with it; nothing of the library that found it."""
    message = message.removeprefix("Value error, ").replace(" or instance of TrainingConfig", "")
    named = [str(each) for each in place if each != ""]
    if named[:1] == ["phases"] and "" in place:
        named = named[1:]
    return ": ".join(filter(None, (".".join(named), message)))


def _parse(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        return json.loads(text)
    try:
        import yaml  # noqa: PLC0415  (the extra `train`)
    except ImportError as error:
        raise ValueError(
            'YAML needs the extra: pip install "attribution[train]"; or give JSON'
        ) from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
