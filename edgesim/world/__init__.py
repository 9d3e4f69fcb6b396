"""The world as values, without a clock: what scenario, report and engine share."""
