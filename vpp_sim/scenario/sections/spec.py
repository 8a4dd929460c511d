"""What every section of a scenario shares: forbidden extra keys, frozen values, names checked against a registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from vpp_sim.errors import nearest

if TYPE_CHECKING:
    from vpp_sim.registry import Registry

__all__ = ["Spec", "registered"]


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
            hint = nearest(name, registry.names)
            raise ValueError(
                f"expected a {registry.kind}: {', '.join(registry.names)}"
                + (f"; did you mean {hint!r}?" if hint else "")
            )
        return name

    return (AfterValidator(check), Field(json_schema_extra=lambda schema: schema.update(enum=list(registry.names))))
