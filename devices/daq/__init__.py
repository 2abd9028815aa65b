"""The DAQ node of PANOSETI modules."""
