"""The engine's links and its Wi-Fi, held against closed forms and against ns-3."""
