"""The channel: loss over distance, shadowing, fading, noise, and what is known of them."""
