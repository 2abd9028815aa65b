"""How devices are reached: over Tango, EPICS, native protocols and a browser."""

import os

# With OpenTelemetry installed, PyTango 10.3 reads its settings from the environment anew at every call of a client:
# 0.1 ms, three times as long as the rest of the call (measured). Not where a site wants its traces.
if "TANGO_TELEMETRY_ENABLE" not in os.environ:
    os.environ.setdefault("PYTANGO_DISABLE_TELEMETRY_PATCHING", "on")
