"""A camera of this facility as an ASCOM Alpaca server: for sequencers that know Alpaca cameras."""
