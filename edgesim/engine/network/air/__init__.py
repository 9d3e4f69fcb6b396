"""Radio cells: transfers, band sharing, and interference."""
