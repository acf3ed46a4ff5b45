"""From records to answers: pure functions of tables.

Nothing here knows actors, the store or files. Tables are pandas DataFrames with the columns of the
records; every function says which columns it reads and which it gives. SciPy and matplotlib are
imported by the functions that need them, so that opening results stays quick.
"""
