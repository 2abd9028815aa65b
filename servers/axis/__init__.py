"""The receiver to which a camera posts its pictures, one per request, as those of AXIS do."""
