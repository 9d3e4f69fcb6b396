"""How far predictions agree with measurements, published or made here, and with other simulators."""
