"""Submissions in: from what universities' systems hand out into submitted/."""
