"""Small blocks that several kinds share: references, values from Secrets and ConfigMaps, TLS, who may refer to us."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from kagent_api.meta import LabelSelector
from kagent_api.schema import Rule, Shape, crd, required

__all__ = ["AllowedNamespaces", "NamedReference", "NamespacedReference", "TLSConfig", "ValueRef", "ValueSource"]


class NamedReference(Shape):
    """An object of the same namespace."""

    kind: str | None = None
    api_group: str | None = None
    name: Annotated[str, required()] = ""


class NamespacedReference(NamedReference):
    """An object anywhere; no namespace means the referrer's."""

    namespace: str | None = None


class ValueSource(Shape):
    """One key of a Secret or ConfigMap."""

    type: Annotated[Literal["ConfigMap", "Secret"] | str, required()] = "ConfigMap"
    name: Annotated[str, required(maxLength=253)] = ""
    key: Annotated[str, required(maxLength=253)] = ""


class ValueRef(Shape):
    """A named value: written out, or looked up."""

    rules: ClassVar = (Rule("has(self.value) != has(self.valueFrom)", "set exactly one of value and valueFrom"),)

    name: Annotated[str, required()] = ""
    value: str | None = None
    value_from: ValueSource | None = None


class AllowedNamespaces(Shape):
    """Which namespaces may refer to this object; absent means its own only."""

    rules: ClassVar = (
        Rule(
            "!has(self.from) || self.from != 'Selector' || has(self.selector)",
            "selector is required when from is Selector",
        ),
    )

    from_: Annotated[Literal["All", "Same", "Selector"] | str | None, crd(default="Same")] = None
    selector: LabelSelector | None = None


class TLSConfig(Shape):
    rules: ClassVar = (
        Rule(
            "!(has(self.caCertSecretKey) && size(self.caCertSecretKey) > 0)"
            " || (has(self.caCertSecretRef) && size(self.caCertSecretRef) > 0)",
            "caCertSecretKey needs caCertSecretRef",
        ),
        Rule(
            "!(has(self.caCertSecretRef) && size(self.caCertSecretRef) > 0)"
            " || (has(self.caCertSecretKey) && size(self.caCertSecretKey) > 0)",
            "caCertSecretRef needs caCertSecretKey",
        ),
        Rule(
            "!(has(self.disableSystemCAs) && self.disableSystemCAs)"
            " || (has(self.disableVerify) && self.disableVerify)"
            " || (has(self.caCertSecretRef) && size(self.caCertSecretRef) > 0)",
            "disableSystemCAs needs caCertSecretRef or disableVerify, else no certificate would be trusted",
        ),
    )

    disable_verify: Annotated[bool | None, crd(default=False)] = None
    ca_cert_secret_ref: str | None = None
    ca_cert_secret_key: str | None = None
    disable_system_cas: Annotated[bool | None, crd(default=False)] = None
