"""How much a plan of so many backdoors and doses can tell, by arithmetic and by training."""
