"""What every section of a scenario shares: forbidden extra keys, frozen values, names checked against a registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from vpp_sim.errors import nearest

if TYPE_CHECKING:
    from vpp_sim.registry import Registry

__all__ = ["RefusalError", "Spec", "registered"]


class RefusalError(ValueError):
    """A value that a section refuses, with what a message about it needs.

    Parameters
    ----------
    allowed : str
        What would have been right, beginning with ``expected``.
    keys : sequence of str
        Dotted keys below the refusing section that are at fault, the one to be shown first; none means the value
        itself.
    hint : str
        The nearest valid value, or empty.
    """

    def __init__(self, allowed: str, keys: tuple[str, ...] = (), hint: str = "") -> None:
        self.allowed, self.keys, self.hint = allowed, keys, hint
        super().__init__(allowed, keys, hint)

    def __str__(self) -> str:
        """Return what is allowed, with the nearest valid value if one is near."""
        return self.allowed + (f"; did you mean {self.hint!r}?" if self.hint else "")


class Spec(BaseModel):
    """Base of all sections: unknown keys are refused, values never change, docstrings reach the JSON Schema."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, strict=False)


def registered(registry: Registry[Any]) -> Any:
    """Return the string type whose values are the names of `registry`.

    Parameters
    ----------
    registry : Registry
        Its names become the ``enum`` of the JSON Schema; another name fails validation with the nearest valid one.
    """

    def check(name: str) -> str:
        if name not in registry.targets:
            allowed = f"expected a {registry.kind}: {', '.join(registry.names)}"
            raise RefusalError(allowed, hint=nearest(name, registry.names))
        return name

    return (AfterValidator(check), Field(json_schema_extra=lambda schema: schema.update(enum=list(registry.names))))
