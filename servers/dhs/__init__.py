"""Hardware servers of DCSS on the command line, without a database: ``diptych dhs BEAMLINE NAME``, or ``pyDHS``."""
