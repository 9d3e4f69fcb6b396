"""The laws that any trace must obey, whoever wrote it and whatever strategy ran.

Each says what is expected of a column, alone or beside others;
:func:`edgesim.trace.laws.check.violations` holds a trace to all of them.
"""
