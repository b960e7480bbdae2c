"""What a system is, as data: its potential and everything that is known about it."""
