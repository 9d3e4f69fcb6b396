"""Laws (invariants) that every trace must obey, for any strategy and any program that wrote it.

A law states what is expected of a column, alone or in relation to others.
:func:`edgesim.trace.laws.check.violations` checks a trace against all laws.
"""
