"""The package by which scripts of PANOSETI know the clients of DAQ nodes; they are those of servers.daqdata."""
