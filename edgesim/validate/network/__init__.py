"""Compare the engine's links and Wi-Fi with closed forms and with ns-3."""
