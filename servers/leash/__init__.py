"""The leash: the ZeroMQ service of a SAXS detector, for the clients of the Saxsdog network."""
