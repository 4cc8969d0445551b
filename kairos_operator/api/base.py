"""What every API type shares: camelCase on the wire, frozen values, unknown fields read over.

Unknown fields are ignored on reading, so that an older operator survives objects of a newer one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel

# An object's name: RFC 1123, apimachinery's validation.IsDNS1123Subdomain.
DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"


class ApiModel(BaseModel):
    """A frozen value of the API; `parse` reads one from the wire, `render` writes it back."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )

    def render(self) -> dict[str, Any]:
        """The value as the API server takes it: camelCase, empty fields left out, JSON types only."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


@lru_cache(maxsize=4096)  # a status says few times, and says them often
def timestamp(moment: datetime) -> str:
    """`moment` as a metav1.Time: RFC 3339 in UTC, whole seconds."""
    return f"{moment.astimezone(UTC).isoformat()[:19]}Z"


@lru_cache(maxsize=4096)  # one value for all who say the same time
def whole_seconds(moment: datetime) -> datetime:
    """`moment` as it reads after a round trip through the API, so that it equals what is stored.

    Raises ValueError for a time that no year of UTC has, such as the first hours of year 1 to the east of it.
    """
    if moment.tzinfo is not UTC:
        try:
            moment = moment.astimezone(UTC)
        except OverflowError as error:
            raise ValueError(f"{moment.isoformat()} is out of range") from error
    return moment.replace(microsecond=0) if moment.microsecond else moment


@lru_cache(maxsize=4096)
def moment(text: str | None) -> datetime | None:
    """The time that a metav1.Time or MicroTime says, or None where there is none."""
    return datetime.fromisoformat(text) if text else None


Time = Annotated[
    datetime,
    AfterValidator(whole_seconds),
    PlainSerializer(timestamp, return_type=str, when_used="json"),
    Field(json_schema_extra={"format": "date-time"}),
]


class LocalObjectReference(ApiModel):
    """A reference to an object in the same namespace."""

    model_config = ConfigDict(json_schema_extra={"x-kubernetes-map-type": "atomic"})

    name: Annotated[str, Field(min_length=1, max_length=253, pattern=DNS_SUBDOMAIN)]
    """Name of the Secret."""
