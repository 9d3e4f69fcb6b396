"""The radio channel: path loss, shadowing, fading and noise, and the transmitter's estimates of them."""
