"""Tango's errors as ours, so that the class of an error survives from the device to the EPICS client."""

from __future__ import annotations

from typing import Any

import tango

from devices.core import errors

FOREIGN = {
    "API_WAttrOutsideLimit": errors.RangeError,
    "API_DeviceTimedOut": errors.TimeoutError,
    "API_CommandNotAllowed": errors.NotAllowedError,
    "API_AttrNotAllowed": errors.NotAllowedError,
    "API_DeviceLocked": errors.NotAllowedError,
    "API_IncompatibleAttrArgumentType": errors.BadValueError,
    "API_IncompatibleCmdArgumentType": errors.BadValueError,
    "API_CorbaException": errors.NotConnectedError,
    "API_CantConnectToDevice": errors.NotConnectedError,
    "API_ServerNotRunning": errors.NotConnectedError,
    "API_DeviceNotExported": errors.NotConnectedError,
    "API_CantConnectToDatabase": errors.NotConnectedError,
}
MAX_TEXT = 1000  # characters of an error text that are passed on


def failure(failed: Any) -> errors.DiptychError:
    """The error that a ``tango.DevFailed`` means.

    A reason that is the name of one of our classes becomes that class; what Tango itself says, the nearest meaning; any
    other is RefusedError with the reason in its text.
    """
    first = failed.args[0] if failed.args and hasattr(failed.args[0], "reason") else None
    if first is None:
        return errors.RefusedError(str(failed)[:MAX_TEXT])
    text = " ".join(first.desc.split())[:MAX_TEXT]
    if (ours := of_class(first.reason, text)) is not None:
        return ours
    reasons = [error.reason for error in failed.args]
    for reason in (first.reason, *reversed(reasons)):
        if reason in FOREIGN:
            return FOREIGN[reason](text)
    return errors.RefusedError(f"{first.reason}: {text}")


def of_class(name: str, text: str) -> errors.DiptychError | None:
    """The error of ours that a class's name and a text make; None: there is no such class."""
    found = getattr(errors, name, None)
    if isinstance(found, type) and issubclass(found, errors.DiptychError) and found is not errors.ConfigurationError:
        return found(text)
    return None


def is_lost(failed: Any) -> bool:
    """Whether nobody answered: the server is gone, or hangs, or is not started yet."""
    return isinstance(failure(failed), errors.NotConnectedError) or isinstance(failed, tango.ConnectionFailed)


def is_refused(failed: Any) -> bool:
    """Whether a connection was refused, so that no server is there; one that hangs only gives no answer."""
    # cppTango gives both the reason API_ServerNotRunning; omniORB's own word is in the text (measured).
    return any("TRANSIENT_ConnectFailed" in error.desc for error in failed.args if hasattr(error, "desc"))
