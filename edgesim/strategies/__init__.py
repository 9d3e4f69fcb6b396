"""Built-in strategies, one per file or package, found by entry point as those of plug-ins are."""
