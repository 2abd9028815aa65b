"""Model devices served as Tango devices."""
