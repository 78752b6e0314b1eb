"""What people look at: pages that open from disk, each one file that loads nothing."""
