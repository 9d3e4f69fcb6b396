"""Groups that hold blocks together: their sums, and the messages that sums are made of."""
