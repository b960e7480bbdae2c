"""Systems of the literature: one file each, which declares and runs nothing."""
