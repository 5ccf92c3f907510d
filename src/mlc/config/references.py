"""What the configuration only refers to: secrets, the key of their store, a monitor's address. None of them stands in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_serializer,
    model_validator,
)

from mlc.config import values as v

NO_LITERALS = (
    "a literal secret stands here; take it out (and replace the secret if others could read it): leave the key out and run "
    "`mlc secret set`, or refer to it by {env: NAME}, {file: PATH}, {systemd: NAME} or {command: [...]}"
)


class Model(BaseModel):
    """Base of all: unknown keys are errors, nothing changes after loading, errors never show a value."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)


class OneOf(Model):
    """A reference of which exactly one form is set."""

    @property
    def kind(self) -> str:
        """Return the form: the name of the key that is set."""
        return next(name for name in type(self).model_fields if getattr(self, name) is not None)

    @property
    def value(self) -> Any:
        """Return what the form refers to: a name, a path or the words of a command."""
        return getattr(self, self.kind)

    @field_validator("systemd", check_fields=False)
    @classmethod
    def _credential(cls, value: str | None) -> str | None:
        if value is not None and ("/" in value or value in {".", ".."}):
            raise ValueError("is no credential name; write the name given to LoadCredentialEncrypted=, without a path")
        return value


class SecretRef(OneOf):
    """Where one secret is found; exactly one of its keys is set and the secret itself never stands in it."""

    keyring: v.Text | None = None
    env: v.Text | None = None
    file: v.FilePath | None = None
    systemd: v.Text | None = None
    command: v.TextList | None = None

    @model_validator(mode="before")
    @classmethod
    def _no_literal(cls, data: Any) -> Any:
        if isinstance(data, (dict, cls)):
            return data
        raise ValueError(NO_LITERALS)

    @field_validator("env")
    @classmethod
    def _variable(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
            raise ValueError("is no name of an environment variable; write the name, never the secret itself")
        return value

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(getattr(self, name) is not None for name in type(self).model_fields) != 1:
            raise ValueError(
                "must name exactly one place; write {env: NAME}, {file: PATH}, {systemd: NAME}, {keyring: NAME} "
                "or {command: [...]}, or leave the key out"
            )
        return self

    @model_serializer
    def _dump(self) -> dict[str, Any]:
        value = self.value
        return {self.kind: [v.mask(word) for word in value] if self.kind == "command" else v.mask(str(value))}


def _as_list(value: Any) -> Any:
    if value is None:
        return ()
    if isinstance(value, (list, tuple)):
        if not value:
            raise ValueError("is an empty list; write a reference or leave the key out")
        return value
    return [value]


def _one_or_list(value: tuple[SecretRef, ...]) -> Any:
    dumped = [item.model_dump() for item in value]
    return dumped[0] if len(dumped) == 1 else dumped or None


SecretRefs = Annotated[tuple[SecretRef, ...], BeforeValidator(_as_list), PlainSerializer(_one_or_list)]


def _address_or_reference(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    return v.ping_address(value) if isinstance(value, str) and value.strip() else handler(value)


def _address_shown(value: Any) -> Any:
    return v.address_mask(value) if isinstance(value, str) else value.model_dump()


if TYPE_CHECKING:
    PingUrl = SecretRef | str
else:  # errors in a reference are told as those of every other one
    PingUrl = Annotated[SecretRef, WrapValidator(_address_or_reference), PlainSerializer(_address_shown)]


class Watch(Model):
    """Who is told how runs go: a check that is pinged, a file that is scraped, a command for what went wrong."""

    ping_url: PingUrl | None = None
    prometheus_dir: v.FilePath | None = None
    on_failure: v.TextList | None = None

    def under(self, own: Watch | None) -> Watch:
        """Return this with what a tenant says of its own in place of it; null there switches off."""
        return self if own is None else self.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})


class MasterKey(OneOf):
    """Where the key of the encrypted file is found; exactly one of its keys is set and the key itself never stands in it."""

    systemd: v.Text | None = None
    file: v.FilePath | None = None
    command: v.TextList | None = None
    prompt: Literal[True] | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_word(cls, data: Any) -> Any:
        if data == "prompt":
            return {"prompt": True}
        if isinstance(data, (dict, cls)):
            return data
        raise ValueError("must be {systemd: mlc-master}, {file: PATH}, {command: [...]} or prompt; never the key itself")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(getattr(self, name) is not None for name in type(self).model_fields) != 1:
            raise ValueError(
                "must name exactly one place; write {systemd: mlc-master}, {file: PATH}, {command: [...]} or prompt, "
                "or leave the key out"
            )
        return self

    @model_serializer
    def _dump(self) -> Any:
        value = self.value
        if self.kind == "prompt":
            return "prompt"
        return {self.kind: [v.mask(word) for word in value] if self.kind == "command" else v.mask(str(value))}
