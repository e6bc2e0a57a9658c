"""What every section of a config is: fixed once read, closed to unknown keys, and documented at each key."""

import difflib
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from unravel.files import cut

NAME = "[a-z0-9]+(-[a-z0-9]+)*"  # safe as a file's name, in a shell and in a page
LONGEST_NAME = 40
Name = Annotated[str, Field(pattern=f"^{NAME}$", max_length=LONGEST_NAME)]
Probability = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


class Settings(BaseModel):
    """A section of the config: fixed once read, and closed to keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            for key in data:
                if key not in cls.model_fields:
                    raise PydanticCustomError("unknown_key", "{message}", {"message": _unknown_key(key, cls)})
        return data


def _unknown_key(key: object, section: type[BaseModel]) -> str:
    known = list(section.model_fields)
    nearest = difflib.get_close_matches(cut(str(key)), known, n=1, cutoff=0.5)
    suggestion = f"did you mean '{nearest[0]}'?" if nearest else f"known keys are {', '.join(known)}"
    return f"unknown key '{cut(str(key))}'; {suggestion}"


def flat(part: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one level of dotted keys, such as training.learning_rate."""
    leaves: dict[str, Any] = {}
    for key, value in part.items():
        leaves |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return leaves
