"""Which part of its devices a mirror process serves: large attributes have a process of their own."""

from __future__ import annotations

import enum
from dataclasses import replace

from servers.epics.declaration import DeviceSpec


class Share(enum.Enum):
    ALL = "all"
    SMALL = "small"  # scalars, commands, short arrays
    LARGE = "large"

    def of(self, spec: DeviceSpec) -> DeviceSpec:
        """The device with the part of it that this share has."""
        if self is Share.ALL:
            return spec
        large = self is Share.LARGE
        attributes = tuple(attribute for attribute in spec.attributes if attribute.is_large is large)
        if not large:
            return replace(spec, attributes=attributes)
        return replace(spec, attributes=attributes, commands=(), has_operations=False, notes=())
