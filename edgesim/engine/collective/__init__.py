"""Groups that share blocks: their sums, and the messages that sums consist of."""
