"""Marks out of the gradebook, in the forms that universities' systems read."""
