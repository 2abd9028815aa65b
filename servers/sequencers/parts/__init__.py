"""What generated ophyd-async files carry with them, as text: they need no Diptych where they are used."""
