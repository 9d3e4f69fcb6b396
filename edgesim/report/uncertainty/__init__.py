"""A prediction's own uncertainty: what fitted parameters leave open of a run's figures."""
