"""The command line: the program, the words it reads, and its verbs."""
