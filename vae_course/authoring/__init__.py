"""From assignment text and the reference to source, release and solved notebooks."""
