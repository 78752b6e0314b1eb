"""What people look at: pages that open from disk, and in which nothing of a student's runs."""
