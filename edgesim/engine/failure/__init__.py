"""What goes down and comes up during a run."""
