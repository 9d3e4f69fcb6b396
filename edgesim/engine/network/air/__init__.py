"""Cells on the air: their transfers, how these divide a band, and whom they disturb."""
